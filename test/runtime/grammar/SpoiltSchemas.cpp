// SpoiltSchemas.cpp - schemas made of parts of the corpus's.
#include "test/runtime/grammar/SpoiltSchemas.h"

#include <fstream>

using Json = nlohmann::ordered_json;

static std::vector<Json *> placesOf(Json &schema) {
  std::vector<Json *> places = {&schema};
  for (size_t i = 0; i < places.size(); ++i)
    if (places[i]->is_structured())
      for (Json &each : *places[i])
        places.push_back(&each);
  return places;
}

SpoiltSchemas::SpoiltSchemas(unsigned seed) : rng(seed) {
  std::ifstream file(PIANOLA_SOURCE_DIR "/test/runtime/grammar/schemas.jsonl");
  for (std::string line; std::getline(file, line);)
    schemas.push_back(Json::parse(line)["schema"]);
  for (Json &schema : schemas)
    for (Json *place : placesOf(schema))
      parts.push_back(*place);
  for (const char *more : {"-1", "1e300", R"({"$ref": "#"})", R"({"$ref": "#/properties"})",
                           "false", "[[]]", "18446744073709551615", "0.1", "[]", "{}"})
    parts.push_back(Json::parse(more));
}

Json SpoiltSchemas::next() {
  Json schema = schemas[rng() % schemas.size()];
  for (int change = 0; change < 3; ++change) {
    std::vector<Json *> places = placesOf(schema);
    Json &place = *places[rng() % places.size()];
    const Json &other = schemas[rng() % schemas.size()];
    if (place.is_object() && other.is_object() && rng() % 2)
      place.update(other);
    else
      place = parts[rng() % parts.size()];
  }
  return schema;
}
