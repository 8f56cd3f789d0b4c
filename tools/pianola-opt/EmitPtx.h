// EmitPtx.h - PTX of a module that is given as text.
#ifndef PIANOLA_TOOLS_PIANOLA_OPT_EMITPTX_H
#define PIANOLA_TOOLS_PIANOLA_OPT_EMITPTX_H

namespace pianola {

/// -emit-ptx=device=h200: what `compile --emit ptx` prints, from a schedule on.
void registerEmitPtx();

} // namespace pianola

#endif
