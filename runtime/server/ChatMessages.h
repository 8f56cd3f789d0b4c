// ChatMessages.h - messages and tools of a chat request, as chat templates know them.
#ifndef PIANOLA_RUNTIME_SERVER_CHATMESSAGES_H
#define PIANOLA_RUNTIME_SERVER_CHATMESSAGES_H

#include "runtime/server/GenerationRequest.h"

namespace pianola::server {

class Fields;

/// To request.variables["messages"]. Parts of texts are joined by line ends, and the arguments of
/// calls, which are strings here, become the objects that templates expect. Also what else the
/// template is given: chat_template_kwargs, reasoning_effort.
void readMessages(Fields &fields, GenerationRequest &request);

/// To request.tools and toolChoice, and request.variables["tools"] unless none is to be called.
void readTools(Fields &fields, GenerationRequest &request);

} // namespace pianola::server

#endif
