//go:build !purego

#include "textflag.h"

// The cipher of FIPS 197 §5.1 with the block before as its input's mask. Each step waits for the one before, so all that counts is
// that nothing but those steps stands in X0's way: what the plaintext is masked with otherwise is worked out beside them.
//
//	BX  the round keys    AX  the last one    SI  plaintext     CX  blocks to go
//	DX  rounds            X0  the state       DI  ciphertext

#define ROUND(n) VAESENC (16*n)(BX), X0, X0

// func encryptAESNI(keys *schedule, rounds int, iv *[16]byte, dst, src *byte, blocks int)
TEXT ·encryptAESNI(SB), NOSPLIT, $0-48
	MOVQ keys+0(FP), BX
	MOVQ rounds+8(FP), DX
	MOVQ iv+16(FP), R8
	MOVQ dst+24(FP), DI
	MOVQ src+32(FP), SI
	MOVQ blocks+40(FP), CX
	MOVQ DX, AX
	SHLQ $4, AX
	ADDQ BX, AX
	VMOVDQU (R8), X0

block:
	VMOVDQU (BX), X1
	VPXOR (SI), X1, X1
	VPXOR X1, X0, X0
	ROUND(1)
	ROUND(2)
	ROUND(3)
	ROUND(4)
	ROUND(5)
	ROUND(6)
	ROUND(7)
	ROUND(8)
	ROUND(9)
	CMPQ DX, $10
	JE   last
	ROUND(10)
	ROUND(11)
	CMPQ DX, $12
	JE   last
	ROUND(12)
	ROUND(13)

last:
	VAESENCLAST (AX), X0, X0
	VMOVDQU X0, (DI)
	ADDQ $16, SI
	ADDQ $16, DI
	DECQ CX
	JNZ  block
	VMOVDQU X0, (R8)
	RET
