// Encodings.h - what --weights can say, one of each kind.
#ifndef PIANOLA_TEST_NUMERIC_ENCODINGS_H
#define PIANOLA_TEST_NUMERIC_ENCODINGS_H

namespace pianola {

constexpr const char *kEncodingSpecs[] = {"f32",
                                          "bf16",
                                          "f16",
                                          "int8",
                                          "int8/row",
                                          "int8/32",
                                          "int8/64",
                                          "int4",
                                          "int4/64",
                                          "int4/128",
                                          "int4z",
                                          "int4/128z",
                                          "fp8",
                                          "fp8/128",
                                          "mxfp4",
                                          "2:4",
                                          "*down*=int8,*o_proj*=keep,*embed*=int4,int4/64z"};

} // namespace pianola

#endif
