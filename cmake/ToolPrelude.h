// ToolPrelude.h - the precompiled header of the command line's verbs.
#include "cmake/RuntimePrelude.h"

#include <iostream>

#include <CLI/CLI.hpp>
