// PredictedPlay.h - the play of a token as the compiler predicted it, to look at.
#ifndef PIANOLA_RUNTIME_TIMELINE_PREDICTEDPLAY_H
#define PIANOLA_RUNTIME_TIMELINE_PREDICTEDPLAY_H

#include "runtime/roll/Roll.h"
#include "runtime/timeline/Pictures.h"

namespace pianola {

/// From the roll's timeline section. Errors: there is none, or it speaks of steps or workers that
/// the roll does not have.
Result<DrawnPlay> predictedPlay(const Roll &roll);

} // namespace pianola

#endif
