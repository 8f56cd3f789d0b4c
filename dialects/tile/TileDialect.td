//===- TileDialect.td - The tile dialect, its types and attributes --*- tablegen -*-===//
#ifndef PIANOLA_TILE_DIALECT_TD
#define PIANOLA_TILE_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::pianola::tile";
  let dependentDialects = ["::pianola::encoding::EncodingDialect"];
  let summary = "what one tile of a stage does";
  let description = [{
    A *stage* is a set of tiles that run the same region at different tile indices; between two
    stages lies an event. This dialect says what a tile computes and which bytes it touches; the
    `schedule` dialect says which worker computes it, and when.

    A stage has an optional **prologue**, which every worker runs once before its first tile of the
    stage (recomputing a cheap thing such as a row's RMS on each worker costs less than one more
    dependent stage), and one or more **sections**: tiles of one kind. The stage that makes queries,
    keys and values has three sections, because their epilogues differ.

    ```
                 buffers, context            the worker's own tape
                        │                            │
      prologue:  load ─ normalise ─┐      resident vectors (norm weights)
                                   ▼
      tile t:    contract (weight tile t) ─ bias ─ normalise ─ rotate ─ activate ─ add ─ store/append
    ```

    **Values** are tensors `[slots x columns]` that live in a worker's scratch memory; **buffers** are
    activations in the arena that all workers share; **weights** come from the tape in the order in
    which the region consumes them. Columns of buffers and rows of weight tiles are padded to
    multiples of 16 lanes, and head by head where a model has heads; what lies in the padding is zero
    by construction: padded weight rows and columns are zero on the tape.

    A program is compiled for T slots and played with n <= T valid ones: ops compute slots 0 .. n-1
    only (in a stage with `outputs`, only those whose logits are wanted).
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

class Tile_Type<string name, string typeMnemonic> : TypeDef<Tile_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Tile_BufferType : Tile_Type<"Buffer", "buffer"> {
  let summary = "an activation in the arena, row-major [slots x columns]";
  let description = [{
    `columns` counts padded columns (a multiple of 16); `element` is f32 or bf16. Example:
    `!tile.buffer<64 x 2048 x bf16>`.
  }];
  let parameters = (ins "int64_t":$slots, "int64_t":$columns, "::mlir::Type":$element);
  let assemblyFormat = "`<` $slots `x` $columns `x` $element `>`";
  let extraClassDeclaration = [{
    int64_t getElementBytes() const { return getElement().getIntOrFloatBitWidth() / 8; }
    int64_t getBytes() const { return getSlots() * getColumns() * getElementBytes(); }
  }];
}

def Tile_ContextType : Tile_Type<"Context", "context"> {
  let summary = "keys and values of one layer, of all positions so far";
  let description = [{
    `heads` key/value heads of `size` lanes (a multiple of 16, zero-padded) of `element`: f32, bf16,
    i8 or f8E4M3FN. Capacity C, a multiple of 64, is the session's, and with a `ring` R, a multiple of
    64, that is less, R: position p stands where position p mod R would. For each head, at
    `head * C * size` elements, keys are packed like weight rows (see `!tile.matrix`): groups of 16
    positions, in each the lanes in order (pairs of lanes for bf16), in each the 16 positions. Values
    follow all keys, at `heads * C * size` elements, packed with positions as the contracted
    dimension: for each pair of positions (bf16; each position for f32) the lanes in order.
    With p the position and d the lane:

    ```
      f32   K[p][d] at ((p/16) * size + d) * 16 + p%16
            V[p][d] at p * size + d
      bf16  K[p][d] at ((p/16) * size/2 + d/2) * 32 + (p%16) * 2 + d%2
            V[p][d] at ((p/2) * size + d) * 2 + p%2
    ```

    i8 and f8E4M3FN are codes: each head of a position has a scale s for its key and one for its
    value, and a code q means s * q. With m = max |x| over the head's lanes, s = m / 127 (f8E4M3FN:
    m / 448), and q is x * (127 / m) to the nearest, ties to even; an m below 1e-30 counts as that in
    the quotient. So an i8 is within m / 254 of what it stands for, an f8E4M3FN within 1/16 of
    itself or m / 2^18, whichever is greater. The scales, f32, stand beside the codes: keys and
    values of a head are each groups of 16 positions, of `16 * (size + 4)` bytes, in which the 16
    scales come first, and then

    ```
            K[p][d] at byte 64 + d * 16 + p%16
            V[p][d] at byte 64 + (p%16) * size + d
    ```
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$size, "::mlir::Type":$element,
                        DefaultValuedParameter<"int64_t", "0">:$ring);
  let assemblyFormat = "`<` $heads `x` $size `x` $element (`ring` $ring^)? `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Positions of a ring for attention to the last `window` positions, in plays of `slots` slots:
    /// while these are written, what the first of them looks at must stay, in whole blocks of
    /// eight, as they are read.
    static int64_t ringFor(int64_t window, int64_t slots) {
      return (window + slots + 7 + 63) / 64 * 64;
    }
    /// Whether elements are codes.
    bool hasScales() const { return getElement().getIntOrFloatBitWidth() == 8; }
    /// Bytes that the keys of one head, or its values, take for each position.
    int64_t getPositionBytes() const {
      return getSize() * (getElement().getIntOrFloatBitWidth() / 8) + (hasScales() ? 4 : 0);
    }
  }];
}

def Tile_StateType : Tile_Type<"State", "state"> {
  let summary = "what a layer remembers of a sequence, however long it is";
  let description = [{
    f32 numbers of each sequence: `parts` parts of `rows` rows of `columns`, a multiple of 16, row by
    row. A history has one part, and position p in row p mod `rows` (`tile.record`); the delta rule has a
    part for each head (`tile.delta`). Example: `!tile.state<32 x 128 x 128>`.
  }];
  let parameters = (ins "int64_t":$parts, "int64_t":$rows, "int64_t":$columns);
  let assemblyFormat = "`<` $parts `x` $rows `x` $columns `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Of one sequence.
    int64_t getBytes() const { return getParts() * getRows() * getColumns() * 4; }
  }];
}

def Tile_MatrixType : Tile_Type<"Matrix", "matrix"> {
  let summary = "a weight matrix on the tape, a fixed number of rows a tile";
  let description = [{
    Tile t holds rows `t*rows .. t*rows + rows-1` of the matrix, padded with zero rows to `row_pad`,
    a multiple of 16. Its columns are `blocks` blocks of `columns`, each padded with zeros to
    `column_pad`, a multiple of 16 (one block for a plain matrix; one for each head in an output
    projection). Rows beyond the matrix's last are zero. With `K = blocks * column_pad`, rows stand in
    groups of 32 and, last, perhaps one of 16; in a group of G rows element (r, k) is at

    ```
      bf16       ((k/2) * G + r) * 2 + k%2       (pairs of K interleaved over the rows)
      f32, f16   k * G + r
    ```

    Codes (see the encoding dialect) stand in groups of columns, those that share scales; a group of
    rows has for each of these first the G scales, then the G zero points if there are any, a byte
    each, and then the codes. With scales of whole rows these come first, and all columns are one
    group. Column k of a group is at

    ```
      8 bits   byte ((k/4) * G + r) * 4 + k%4
      4 bits   byte ((k/8) * G + r) * 4 + k%4, in the lower half if k%8 < 4
    ```

    With an order columns of the matrix are counted as they stand in the checkpoint, where those of a
    group are together; a `tile.reorder` gives the rows that they are multiplied with.

    Two of four columns stand in groups of 32 columns, the last one perhaps of 16: in a group of G
    rows, 4 bytes of patterns for each row and then, of each four columns, for each row its two
    elements. A pattern is the places of both among the four, the first one's in the lower two bits;
    those of the first four columns are in the lowest bits.

    Rows beyond the matrix's last have scales of zero. A tile is padded to a multiple of 64 bytes.

    Example: `!tile.matrix<rows = 24, row_pad = 32, blocks = 6, columns = 24, column_pad = 32, element = bf16>`.

    With a `panel` P (for GPUs) a tile has `rows = row_pad` rows, a multiple of 8, and stands panel by
    panel of P columns, in each row by row, the last panel padded with zeros: element (r, k) is at
    `((k/P) * rows + r) * P + k%P`, so that a warp's 16-byte reads of 8 rows are one run of bytes. A
    tile is padded to a multiple of 2048 bytes: no panel then lies across two slots of a ring, as
    long as no matrix of the program is *packed*: has codes, two of four columns, or blocks. The matrix's rows may come in blocks of `row_block` rows, each followed by zero rows up to
    `row_block_pad` (heads); tile t holds rows `t*rows ..` of these padded rows. Example:
    `!tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 88, column_pad = 96, element = bf16, panel = 32, row_block = 24, row_block_pad = 32>`.

    A panel of codes is 64 bytes of each row: 64 or 128 columns. Before its codes it has for each row
    the scales of its columns, one for each S of them (S divides the panel and the group: 32, 64 or
    128), and behind these, if there are any, the zero points, a byte each; both are padded to 16 bytes.
    Scales of whole rows, and their zero points, stand once before the first panel. Column k of a panel
    is, with t = k/8 % 4 and i = k%8, in byte `r * 64 + t * 16` and further

    ```
      8 bits   (k/32) * 8 + i
      4 bits   (k/32) * 4 + i%2 * 2 + i/4, in the lower half if i/2 is even
    ```

    so that the four lanes that share a row in an mma have 16 bytes each, and 8 columns of each 32. Such
    a tile is padded to a multiple of 64 bytes, and its panels lie across slots of a ring.

    So it is with two of four columns. A panel is 64 columns: 8 bytes of patterns for each row and then
    64 bytes of elements. With t as above and q = k/4 % 2, the pattern of columns k .. k + 3 is in the
    byte `r * 8 + t * 2 + k/32`, in the lower half if q = 0; their elements are 4 bytes from `r * 64 +
    t * 16 + (k/32) * 8 + q * 4` on. These patterns are numbers from 0 to 5, which can be looked up by
    `prmt`: of the places 0 and 1, 0 and 2, 0 and 3, 1 and 2, 1 and 3, 2 and 3. Example:
    `!tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 96, column_pad = 96, element = !encoding.scaled<code = i4, group = 32, scale = f16>, panel = 128>`.

    With `kept` only so many blocks of 32 columns stand there, in the order of their columns, and the
    others are zero (see `!encoding.blocks`); elements are f32, bf16 or f16, and columns multiples of
    32. Block n is columns 32n .. 32n + 31. A group of rows has first the numbers of its blocks, i32,
    padded to a multiple of 64 bytes, and then the blocks, each as a group of 32 columns stands. Of
    panels, which have 32 columns, each has its number, i32, in 16 bytes before it. Such a matrix is
    packed, too. Example:
    `!tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 256, column_pad = 256, element = bf16, kept = 3>`.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$rowPad, "int64_t":$blocks, "int64_t":$columns,
                        "int64_t":$columnPad, "::mlir::Type":$element,
                        DefaultValuedParameter<"int64_t", "0">:$panel,
                        DefaultValuedParameter<"int64_t", "0">:$rowBlock,
                        DefaultValuedParameter<"int64_t", "0">:$rowBlockPad,
                        DefaultValuedParameter<"int64_t", "0">:$kept);
  let hasCustomAssemblyFormat = 1; // what is optional begins with a comma
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Length of the contracted dimension with its padding.
    int64_t getDepth() const { return getBlocks() * getColumnPad(); }
    /// As much of it as stands there.
    int64_t getKeptDepth() const {
      return getKept() ? getKept() * encoding::BlocksType::kSide : getDepth();
    }
    /// Panels of a tile; 1 without panels.
    int64_t getPanels() const {
      return getPanel() ? (getKeptDepth() + getPanel() - 1) / getPanel() : 1;
    }
    /// The element as codes; null if it is none.
    encoding::ScaledType getCodes() const {
      return ::mlir::dyn_cast<encoding::ScaledType>(getElement());
    }
    /// Whether each number stands for itself and all of them stand there.
    bool isPlain() const { return encoding::isPlain(getElement()) && !getKept(); }
    /// Whether two of each four columns stand there.
    bool isPruned() const { return ::mlir::isa<encoding::TwoOfFourType>(getElement()); }
    /// Columns of a panel that share a scale; 0 if all columns of a row do. Codes only.
    int64_t getScaleColumns() const;
    /// Scales of a row in a panel: 0 if they are of whole rows.
    int64_t getPanelScales() const {
      return getScaleColumns() ? getPanel() / getScaleColumns() : 0;
    }
    /// Bytes of the scales, or zero points, of so many columns of each row, as panels have them.
    int64_t getScalesBytes(int64_t ofRow) const;
    int64_t getZerosBytes(int64_t ofRow) const;
    /// Bytes of a panel with its scales, patterns or number.
    int64_t getPanelBytes() const;
    /// Before a panel with a number.
    static constexpr int64_t kNumberBytes = 16;
    /// Bytes of the numbers of a group's blocks, and of a group of so many rows with its blocks.
    int64_t getNumbersBytes() const;
    int64_t getKeptGroupBytes(int64_t rows) const;
    /// Where a tile's first panel begins.
    int64_t getFirstPanel() const;
    /// Bytes of one tile, a multiple of 64.
    int64_t getTileBytes() const;
  }];
}

def Tile_VectorType : Tile_Type<"Vector", "vector"> {
  let summary = "a norm weight or bias on the tape, f32, or the order of columns";
  let description = [{
    `blocks` blocks of `size` elements, each padded with zeros to `pad` (a multiple of 16). With
    `per_tile` (a bias) tile t holds elements `t*size ..` of the tensor and rides beside the tile's
    rows; without (a norm weight) the whole vector is *resident*: it stands once at the head of the
    step's part of each worker's tape. Example: `!tile.vector<blocks = 1, size = 24, pad = 32, per_tile = true>`.

    A `constant` vector (for GPUs) stands whole in the roll's constants, once for all workers and not
    on the tape: so many workers would each stream a copy of what one cache can hold for all of them.

    An `order` vector is made of a matrix, and i32: element j is the place, among `blocks` blocks of
    `size` numbers padded to `pad`, of what column j of the matrix is multiplied with
    (`tile.reorder`).
  }];
  let parameters = (ins "int64_t":$blocks, "int64_t":$size, "int64_t":$pad, "bool":$perTile,
                        DefaultValuedParameter<"bool", "false">:$constant,
                        DefaultValuedParameter<"bool", "false">:$order);
  let assemblyFormat = [{
    `<` (`order` `=` $order^ `,` ` `)? `blocks` `=` $blocks `,` `size` `=` $size `,` `pad` `=` $pad `,`
    `per_tile` `=` $perTile (`,` `constant` `=` $constant^)? `>`
  }];
  let extraClassDeclaration = [{
    /// Bytes on the tape, a multiple of 64.
    int64_t getBytes() const { return getBlocks() * getPad() * 4; }
  }];
}

def Tile_TableType : Tile_Type<"Table", "table"> {
  let summary = "an embedding table, gathered by token id";
  let description = [{
    `rows` rows of `columns` elements, zero-padded to `column_pad`. With `tile_rows = 0` the table is
    row-major in the roll's table section; of codes, each row stands as a group of one row does (see
    `!tile.matrix`). With `tile_rows = n` it is the tied output matrix, read
    where the workers' tapes hold it: tiles of n rows, packed as `!tile.matrix` says (with its `panel`),
    found through an array of their addresses.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "int64_t":$columnPad,
                        "int64_t":$tileRows, "::mlir::Type":$element,
                        DefaultValuedParameter<"int64_t", "0">:$panel);
  let assemblyFormat = [{
    `<` `rows` `=` $rows `,` `columns` `=` $columns `,` `column_pad` `=` $columnPad `,`
    `tile_rows` `=` $tileRows `,` `element` `=` $element (`,` `panel` `=` $panel^)? `>`
  }];
}

def Tile_RotationType : Tile_Type<"Rotation", "rotation"> {
  let summary = "cosines and sines of a rope table, for every position";
  let description = [{
    f32, row-major by position p: `pairs` cosines, then `pairs` sines, of `p * inv_freq[i]`, both
    times the rope's scale. The runtime fills it when positions are first reached.
  }];
  let parameters = (ins "int64_t":$pairs);
  let assemblyFormat = "`<` $pairs `>`";
}

def Tile_MachineAttr : AttrDef<Tile_Dialect, "Machine"> {
  let mnemonic = "machine";
  let summary = "what passes may know of the machine: a struct of numbers";
  let description = [{
    `workers`: how many run the schedule. `product`: the element type (bf16 or f32) that inner
    products take their activations in. `ring`, `scratch`: bytes a worker has. `bandwidth`: read
    bandwidth of all workers together in MB/s. `peak`: GFLOP/s of all workers together in `product`.
    `event`: ns from the last signal of an event to the end of the wait for it. `step`: ns that a
    worker spends on a step apart from its tiles.

    With `rows` (for GPUs) a tile may be as few rows as that and need not be a whole head; what needs
    whole heads is then computed by those who read them. `panel`: columns of a panel of packed weights
    (see `!tile.matrix`). `chunk`: bytes of one slot of the ring. `consume`: MB/s at which all workers
    together take weights out of their rings. `cache`: MB/s at which they read activations. With
    `loops` workers go on from token to token by themselves, and programs end with the choice of the
    next token. `waits`: events that a step may wait for at most (0: any number).
    `port`: MB/s at which one worker can read at most what does not come through its ring.
    `early`: bytes that its registers take in before a step's events have happened: the first weights
    of its tiles, or the first keys and values. `warps`: how many share the panels of a tile.
    `codes`: products take codes with their scales from the tape. `unpack`: MB/s at which all workers
    together can bring codes of 16 rows into operands for up to four slots.

    It stands on the module, so that a test states its machine in its own text:

    ```mlir
    module attributes {tile.machine = #tile.machine<name = "host", workers = 2, product = bf16,
        ring = 0, scratch = 4194304, bandwidth = 39000, peak = 240, event = 300, step = 200>} {
    }
    ```
  }];
  let parameters = (ins StringRefParameter<>:$name, "int64_t":$workers, "::mlir::Type":$product,
                        "int64_t":$ring, "int64_t":$scratch, "int64_t":$bandwidth, "int64_t":$peak,
                        "int64_t":$event, "int64_t":$step,
                        DefaultValuedParameter<"int64_t", "0">:$rows,
                        DefaultValuedParameter<"int64_t", "0">:$panel,
                        DefaultValuedParameter<"int64_t", "0">:$chunk,
                        DefaultValuedParameter<"int64_t", "0">:$consume,
                        DefaultValuedParameter<"int64_t", "0">:$cache,
                        DefaultValuedParameter<"bool", "false">:$loops,
                        DefaultValuedParameter<"int64_t", "0">:$waits,
                        DefaultValuedParameter<"int64_t", "0">:$port,
                        DefaultValuedParameter<"int64_t", "0">:$early,
                        DefaultValuedParameter<"int64_t", "1">:$warps,
                        DefaultValuedParameter<"bool", "false">:$codes,
                        DefaultValuedParameter<"int64_t", "0">:$unpack);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_ActivationEnum : I32EnumAttr<"Activation", "gate function", [
    I32EnumAttrCase<"Silu", 0, "silu">,
    I32EnumAttrCase<"GeluTanh", 1, "gelu_tanh">,
    I32EnumAttrCase<"Gelu", 2, "gelu">,
    I32EnumAttrCase<"SwigluOai", 3, "swiglu_oai">]> {
  let cppNamespace = "::pianola::tile";
}

def Tile_PartEnum : I32EnumAttr<"ContextPart", "half of a context", [
    I32EnumAttrCase<"Key", 0, "key">, I32EnumAttrCase<"Value", 1, "value">]> {
  let cppNamespace = "::pianola::tile";
}

include "dialects/tile/TileExperts.td"

#endif
