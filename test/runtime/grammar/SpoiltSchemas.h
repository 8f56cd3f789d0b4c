// SpoiltSchemas.h - schemas made of parts of the corpus's, in each other's places.
#ifndef PIANOLA_TEST_RUNTIME_GRAMMAR_SPOILTSCHEMAS_H
#define PIANOLA_TEST_RUNTIME_GRAMMAR_SPOILTSCHEMAS_H

#include <nlohmann/json.hpp>
#include <random>
#include <vector>

class SpoiltSchemas {
public:
  explicit SpoiltSchemas(unsigned seed);
  nlohmann::ordered_json next();

private:
  std::mt19937 rng;
  std::vector<nlohmann::ordered_json> schemas, parts;
};

#endif
