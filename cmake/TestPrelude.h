// TestPrelude.h - the precompiled header of the tests that know nothing of LLVM.
#include "cmake/RuntimePrelude.h"

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include <gtest/gtest.h>
