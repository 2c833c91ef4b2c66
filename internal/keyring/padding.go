package keyring

import (
	"crypto/rsa"
	"crypto/subtle"
	"hash"
)

// Paddings of RSA that are taken off here, for keys on a token which does the bare operation. Nothing branches on what is secret.

type hashMaker = func() hash.Hash

// unpad copies the message of an encoded message of RSAES-PKCS1-v1_5 into key, if the padding is right and the message as long as key. Else
// key stays as it is.
func unpad(key, em []byte) {
	if len(em) < len(key)+11 {
		return
	}
	at := len(em) - len(key) - 1 // where the zero stands that ends the padding
	ok := subtle.ConstantTimeByteEq(em[0], 0) & subtle.ConstantTimeByteEq(em[1], 2) & subtle.ConstantTimeByteEq(em[at], 0)
	for _, b := range em[2:at] {
		ok &= 1 ^ subtle.ConstantTimeByteEq(b, 0)
	}
	subtle.ConstantTimeCopy(ok, key, em[at+1:])
}

// unmask takes the message out of an encoded message of RSAES-OAEP without label (RFC 8017 §7.1.2, step 3). em is overwritten. The one error is
// rsa.ErrDecryption: which check fails does not show (Manger).
func unmask(em []byte, h, mgf hash.Hash) ([]byte, error) {
	n := h.Size()
	if len(em) < 2*n+2 {
		return nil, rsa.ErrDecryption
	}
	label := h.Sum(nil)
	seed, db := em[1:1+n], em[1+n:]
	mgf1XOR(seed, mgf, db)
	mgf1XOR(db, mgf, seed)
	ok := subtle.ConstantTimeByteEq(em[0], 0) & subtle.ConstantTimeCompare(label, db[:n])
	looking, bad, index := 1, 0, 0
	for i, b := range db[n:] {
		zero, one := subtle.ConstantTimeByteEq(b, 0), subtle.ConstantTimeByteEq(b, 1)
		index = subtle.ConstantTimeSelect(looking&one, i, index)
		looking = subtle.ConstantTimeSelect(one, 0, looking)
		bad = subtle.ConstantTimeSelect(looking&^zero, 1, bad)
	}
	if ok&^bad&^looking != 1 {
		return nil, rsa.ErrDecryption
	}
	return append([]byte(nil), db[n+index+1:]...), nil
}

// mgf1XOR is MGF1 (RFC 8017 appendix B.2.1).
func mgf1XOR(out []byte, h hash.Hash, seed []byte) {
	var counter [4]byte
	for done := 0; done < len(out); {
		h.Reset()
		h.Write(seed)
		h.Write(counter[:])
		done += subtle.XORBytes(out[done:], out[done:], h.Sum(nil))
		counter[3]++ // no message of ours takes 256 rounds
	}
}
