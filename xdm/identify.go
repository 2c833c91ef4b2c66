package xdm

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// identify makes identifiers of what they stand for: a document's of its bytes and author, the submission set's of everything.
func (p *Plan) identify() {
	author := p.letter.Author.Key()
	p.sourceID = oid("source", p.letter.Author.Domain.String())
	all := []string{"set", author, stamp(p.letter.Submitted), p.letter.Title}
	for _, a := range p.letter.Recipients {
		all = append(all, a.Key())
	}
	seen := map[string]int{}
	for i := range p.docs {
		d := &p.docs[i]
		sum := string(d.sha256[:])
		d.uniqueID = oid("document", author, sum, d.created(), d.Title, d.MIMEType, fmt.Sprint(seen[sum]))
		seen[sum]++
		all = append(all, d.uniqueID)
	}
	p.uniqueID = oid(all...)
}

// oid makes an identifier below 2.25 (ITU-T X.667 §7): a UUID of version 8 (RFC 9562 §5.8) from the SHA-256 of what it stands for.
func oid(of ...string) string {
	h := sha256.New()
	for _, s := range of {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	u := h.Sum(nil)[:16]
	u[6], u[8] = u[6]&0x0F|0x80, u[8]&0x3F|0x80
	return "2.25." + new(big.Int).SetBytes(u).String()
}

// validOID says whether s is an object identifier of at most 64 characters.
func validOID(s string) bool {
	arcs := strings.Split(s, ".")
	if len(s) > 64 || len(arcs) < 2 || !slices.Contains([]string{"0", "1", "2"}, arcs[0]) {
		return false
	}
	return !slices.ContainsFunc(arcs, func(a string) bool {
		return a == "" || len(a) > 1 && a[0] == '0' || strings.Trim(a, "0123456789") != ""
	})
}
