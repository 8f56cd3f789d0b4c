// Families.h - one decoding function for each kind of instruction.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_FAMILIES_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_FAMILIES_H

namespace pianola::ptx {

class Decoder;

// Calls.cpp
bool decodeCall(Decoder &);
bool decodeReturn(Decoder &);
// Control.cpp
bool decodeBranch(Decoder &);
bool decodeIndexedBranch(Decoder &);
bool decodeExit(Decoder &);
bool decodeTrap(Decoder &);
bool decodeNothing(Decoder &);
bool decodeSleep(Decoder &);
// Move.cpp
bool decodeMove(Decoder &);
bool decodeConvertAddress(Decoder &);
bool decodeIsSpace(Decoder &);
// Load.cpp, Store.cpp
bool decodeLoad(Decoder &);
bool decodeStore(Decoder &);
bool decodePrefetch(Decoder &);
bool decodePolicy(Decoder &);
// Atomics.cpp
bool decodeAtomic(Decoder &);
// Barriers.cpp
bool decodeBarrier(Decoder &);
bool decodeFence(Decoder &);
bool decodeMembar(Decoder &);
// Clusters.cpp
bool decodeClusterBarrier(Decoder &);
bool decodeMapAddress(Decoder &);
// Stack.cpp
bool decodeStack(Decoder &);
// WarpWide.cpp
bool decodeShuffle(Decoder &);
bool decodeVote(Decoder &);
bool decodeMatch(Decoder &);
bool decodeRedux(Decoder &);
bool decodeElect(Decoder &);
bool decodeActiveMask(Decoder &);
// Mbarriers.cpp
bool decodeMbarrier(Decoder &);
// AsyncCopies.cpp
bool decodeAsyncCopy(Decoder &);
// Matrix.cpp
bool decodeLoadMatrix(Decoder &);
bool decodeStoreMatrix(Decoder &);
bool decodeMultiplyMatrix(Decoder &);
bool decodeTransposeMatrix(Decoder &);
// WarpgroupMatrix.cpp
bool decodeWarpgroupMatrix(Decoder &);
// WarpMatrix.cpp
bool decodeWarpMatrix(Decoder &);
// Integer.cpp
bool decodeAdd(Decoder &);
bool decodeSubtract(Decoder &);
bool decodeMultiply(Decoder &);
bool decodeMultiplyAdd(Decoder &);
bool decodeDivide(Decoder &);
bool decodeRemainder(Decoder &);
bool decodeAbsolute(Decoder &);
bool decodeNegate(Decoder &);
bool decodeMinMax(Decoder &);
bool decodeSad(Decoder &);
// Extended.cpp
bool decodeMultiply24(Decoder &);
bool decodeDotProduct(Decoder &);
bool decodeExtended(Decoder &);
// BitFields.cpp
bool decodeLogic(Decoder &);
bool decodeShift(Decoder &);
bool decodeFunnelShift(Decoder &);
bool decodeLogic3(Decoder &);
bool decodePermute(Decoder &);
bool decodeBitField(Decoder &);
// BitCounts.cpp
bool decodeBitCount(Decoder &);
bool decodeBitFind(Decoder &);
bool decodeBitMask(Decoder &);
// Float.cpp
bool decodeFma(Decoder &);
// FloatFunctions.cpp
bool decodeRoot(Decoder &);
bool decodeApproximate(Decoder &);
// FloatSigns.cpp
bool decodeCopySign(Decoder &);
bool decodeTestProperty(Decoder &);
// Compare.cpp
bool decodeSetPredicate(Decoder &);
bool decodeSet(Decoder &);
// Select.cpp
bool decodeSelect(Decoder &);
bool decodeSelectBySign(Decoder &);
// Convert.cpp
bool decodeConvert(Decoder &);

} // namespace pianola::ptx

#endif
