//===- TileExperts.td - tiles of mixtures of experts -----------*- tablegen -*-===//
//
// Which experts' weights a tile needs is known when it is played. These weights stand on no worker's
// tape but in pools, from where they are read by the expert's number.
//
//   pool       all experts' tiles of a matrix; a tile is found by its expert and its number
//   routes     what the play's slots have chosen: of each slot K experts and their weights
//   members    of an expert: the slots that have chosen it. Slots that choose the same one share its
//              bytes: their rows are gathered, and one product takes all of them
//
#ifndef PIANOLA_TILEEXPERTS_TD
#define PIANOLA_TILEEXPERTS_TD

include "dialects/tile/TileDialect.td"

def Tile_PoolType : Tile_Type<"Pool", "pool"> {
  let summary = "a weight matrix of each expert, as tiles that stand apart from the tapes";
  let description = [{
    Tile t of expert e, `tiles` of each, is the tile `e * tiles + t` of `matrix`: there the experts'
    matrices stand one below the other, each a block of `row_block` rows, padded to `row_block_pad`. It
    begins at byte `(e * tiles + t)` times the bytes of a tile. Example:
    `!tile.pool<experts = 8, tiles = 2, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 88, column_pad = 96, element = bf16, row_block = 24, row_block_pad = 32>>`.
  }];
  let parameters = (ins "int64_t":$experts, "int64_t":$tiles, "::pianola::tile::MatrixType":$matrix);
  let assemblyFormat = "`<` `experts` `=` $experts `,` `tiles` `=` $tiles `,` `matrix` `=` qualified($matrix) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getBytes() const { return getExperts() * getTiles() * getMatrix().getTileBytes(); }
  }];
}

def Tile_RoutesType : Tile_Type<"Routes", "routes"> {
  let summary = "which experts the slots have chosen";
  let description = [{
    Of `slots` slots `chosen` experts each, out of `experts`, and a weight for each. The slots that
    there are choose some number of different experts, at most `getMost()`; these are counted in the
    order of their numbers.
  }];
  let parameters = (ins "int64_t":$slots, "int64_t":$chosen, "int64_t":$experts);
  let assemblyFormat = "`<` $slots `x` $chosen `of` $experts `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Different experts that all slots together can choose.
    int64_t getMost() const { return std::min(getExperts(), getSlots() * getChosen()); }
    /// How many they choose on average, if each choice is as likely as every other.
    double getMean() const;
  }];
}

def Tile_ScoreEnum : I32EnumAttr<"Score", "how a router scores experts", [
    I32EnumAttrCase<"Softmax", 0, "softmax">, I32EnumAttrCase<"Sigmoid", 1, "sigmoid">]> {
  let cppNamespace = "::pianola::tile";
}

def Tile_GroupScoreEnum : I32EnumAttr<"GroupScore", "how a router scores groups of experts", [
    I32EnumAttrCase<"Max", 0, "max">, I32EnumAttrCase<"TopTwo", 1, "top_two">]> {
  let cppNamespace = "::pianola::tile";
}

#endif
