// RUN: pianola-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{a group is a multiple of 32 columns, or 0 for whole rows, found 48}}
transformer.weight @w [8, 96] !encoding.scaled<code = i4, group = 48, scale = f16> from "w"

// -----

// expected-error @+1 {{f8e4m3 has a zero of its own and no zero points}}
transformer.weight @w [8, 96] !encoding.scaled<code = f8e4m3, scale = f32, zeros = true> from "w"

// -----

// expected-error @+1 {{whole rows need no order of their columns}}
transformer.weight @w [8, 96] !encoding.scaled<code = i8, scale = f32, order = true> from "w"

// -----

// expected-error @+1 {{'transformer.weight' op attribute 'encoding' failed to satisfy constraint: type attribute of f32, bf16, f16 or an encoding of the encoding dialect}}
transformer.weight @w [8, 96] i8 from "w"

// -----

// expected-error @+1 {{two of four columns have a bf16, found 'f32'}}
transformer.weight @w [8, 96] !encoding.two_of_four<f32> from "w"

// -----

// expected-error @+1 {{blocks are of f32, bf16 or f16, found 'i8'}}
transformer.weight @w [32, 96] !encoding.blocks<i8, kept = 1> from "w"

// -----

// expected-error @+1 {{of blocks at least one stands there, not 0}}
transformer.weight @w [32, 96] !encoding.blocks<bf16, kept = 0> from "w"

// -----

// expected-error @+1 {{'transformer.weight' op @w has no 4 blocks of 32 columns in each row, found [32, 96]}}
transformer.weight @w [32, 96] !encoding.blocks<bf16, kept = 4> from "w"

// -----

// expected-error @+1 {{'transformer.weight' op @w has no 2 blocks of 32 columns in each row, found [32, 88]}}
transformer.weight @w [32, 88] !encoding.blocks<bf16, kept = 2> from "w"
