//go:build !purego

#include "textflag.h"

// func hasVAES() bool
TEXT ·hasVAES(SB), NOSPLIT, $0-1
	MOVL $7, AX
	XORL CX, CX
	CPUID
	SHRL $9, CX
	ANDL $1, CX
	MOVB CX, ret+0(FP)
	RET

// func subWord(w uint32) uint32
TEXT ·subWord(SB), NOSPLIT, $0-12
	MOVL w+0(FP), AX
	MOVQ AX, X0
	PSHUFD $0, X0, X0
	AESKEYGENASSIST $0, X0, X0 // its lowest word is SubWord of the one above it
	MOVQ X0, AX
	MOVL AX, ret+8(FP)
	RET

// func invMixColumns(k *[16]byte)
TEXT ·invMixColumns(SB), NOSPLIT, $0-8
	MOVQ k+0(FP), AX
	MOVOU (AX), X0
	AESIMC X0, X0
	MOVOU X0, (AX)
	RET

// The two kernels are one text with registers of two widths W: of 32 octets, so two blocks each, or of 16. Eight of them, S0 to
// S7, hold a batch. Eight are enough to keep two AES units busy, which take a new instruction each cycle and answer in three
// to five. All that is loaded from a batch is loaded before anything is stored, since dst may be src.
//
//	AX  the next round key      DX  rounds                            SI  ciphertext      K     a round key, in each lane
//	BX  the round keys          CX  rounds to go, R8  batches to go   DI  plaintext       PREV  ends with the ciphertext before

#define EACH(OP) \
	OP K, S0, S0; OP K, S1, S1; OP K, S2, S2; OP K, S3, S3; \
	OP K, S4, S4; OP K, S5, S5; OP K, S6, S6; OP K, S7, S7

#define LOAD_BATCH \
	VMOVDQU 0*W(SI), S0; VMOVDQU 1*W(SI), S1; VMOVDQU 2*W(SI), S2; VMOVDQU 3*W(SI), S3; \
	VMOVDQU 4*W(SI), S4; VMOVDQU 5*W(SI), S5; VMOVDQU 6*W(SI), S6; VMOVDQU 7*W(SI), S7

// FIRST is what S0 is chained to, all others are chained to what stands one block before them (SP 800-38A §6.2).
#define CHAIN \
	VPXOR FIRST, S0, S0; VPXOR (1*W-16)(SI), S1, S1; VPXOR (2*W-16)(SI), S2, S2; VPXOR (3*W-16)(SI), S3, S3; \
	VPXOR (4*W-16)(SI), S4, S4; VPXOR (5*W-16)(SI), S5, S5; VPXOR (6*W-16)(SI), S6, S6; VPXOR (7*W-16)(SI), S7, S7; \
	VMOVDQU 7*W(SI), PREV

#define STORE_BATCH \
	VMOVDQU S0, 0*W(DI); VMOVDQU S1, 1*W(DI); VMOVDQU S2, 2*W(DI); VMOVDQU S3, 3*W(DI); \
	VMOVDQU S4, 4*W(DI); VMOVDQU S5, 5*W(DI); VMOVDQU S6, 6*W(DI); VMOVDQU S7, 7*W(DI)

// The equivalent inverse cipher (FIPS 197 §5.3.5).
#define INVERSE_CIPHER(LOAD_KEY) \
	MOVQ BX, AX;          \
	LOAD_KEY (AX), K;     \
	EACH(VPXOR);          \
	MOVQ DX, CX;          \
round:                    \
	ADDQ $16, AX;         \
	LOAD_KEY (AX), K;     \
	EACH(VAESDEC);        \
	DECQ CX;              \
	CMPQ CX, $1;          \
	JNE  round;           \
	LOAD_KEY 16(AX), K;   \
	EACH(VAESDECLAST)

#define S0 Y0
#define S1 Y1
#define S2 Y2
#define S3 Y3
#define S4 Y4
#define S5 Y5
#define S6 Y6
#define S7 Y7
#define K Y8
#define FIRST Y9
#define PREV Y10
#define W 32

// func decryptVAES(keys *schedule, rounds int, iv *[16]byte, dst, src *byte, batches int)
TEXT ·decryptVAES(SB), NOSPLIT, $0-48
	MOVQ keys+0(FP), BX
	MOVQ rounds+8(FP), DX
	MOVQ iv+16(FP), AX
	MOVQ dst+24(FP), DI
	MOVQ src+32(FP), SI
	MOVQ batches+40(FP), R8
	VBROADCASTI128 (AX), PREV

batch:
	LOAD_BATCH
	VPERM2I128 $0x21, S0, PREV, FIRST // the upper lane of PREV, then the lower one of S0
	INVERSE_CIPHER(VBROADCASTI128)
	CHAIN
	STORE_BATCH
	ADDQ $(8*W), SI
	ADDQ $(8*W), DI
	DECQ R8
	JNZ  batch
	VZEROUPPER
	RET

#undef S0
#undef S1
#undef S2
#undef S3
#undef S4
#undef S5
#undef S6
#undef S7
#undef K
#undef FIRST
#undef PREV
#undef W
#define S0 X0
#define S1 X1
#define S2 X2
#define S3 X3
#define S4 X4
#define S5 X5
#define S6 X6
#define S7 X7
#define K X8
#define FIRST PREV
#define PREV X10
#define W 16

// func decryptAESNI(keys *schedule, rounds int, iv *[16]byte, dst, src *byte, batches int)
TEXT ·decryptAESNI(SB), NOSPLIT, $0-48
	MOVQ keys+0(FP), BX
	MOVQ rounds+8(FP), DX
	MOVQ iv+16(FP), AX
	MOVQ dst+24(FP), DI
	MOVQ src+32(FP), SI
	MOVQ batches+40(FP), R8
	VMOVDQU (AX), PREV

batch:
	LOAD_BATCH
	INVERSE_CIPHER(VMOVDQU)
	CHAIN
	STORE_BATCH
	ADDQ $(8*W), SI
	ADDQ $(8*W), DI
	DECQ R8
	JNZ  batch
	RET
