package dimse

import (
	"encoding/binary"
	"strings"

	"carepost/dicom"
)

// offer is a presentation context of an A-ASSOCIATE-RQ (PS3.8 §9.3.2.2).
type offer struct {
	id       byte
	class    string
	syntaxes []string
}

// answer is one of an A-ASSOCIATE-AC (PS3.8 §9.3.3.2).
type answer struct {
	id, result byte
	syntax     string // means something where result is accepted
}

// Results of a presentation context (PS3.8 §9.3.3.2).
const (
	accepted    byte = 0
	noSuchClass byte = 3
	noSyntax    byte = 4
)

// roles is an SCP/SCU role selection (PS3.7 §D.3.3.4).
type roles struct {
	class    string
	scu, scp byte
}

// associate is an A-ASSOCIATE-RQ or -AC, both of one form (PS3.8 §9.3.2, §9.3.3).
type associate struct {
	version         uint16
	called, calling string // 16 octets without padding
	application     string
	offers          []offer
	answers         []answer
	length          uint32 // Maximum Length Received; 0 = any
	window          bool   // an asynchronous operations window was offered
	roles           []roles
	storage         []string // SOP classes of which an extended negotiation asks how they are stored (PS3.4 §B.3.1)
}

// fixed is the length of what stands before the items.
const fixed = 68

// read reads the fields of a PDU.
func (a *associate) read(b []byte) error {
	if len(b) < fixed {
		return broken(invalidParam, "an association's PDU is cut")
	}
	a.version = binary.BigEndian.Uint16(b)
	a.called, a.calling = title(b[4:20]), title(b[20:36])
	seen := map[byte]bool{}
	return items(b[fixed:], func(kind byte, v []byte) error {
		switch kind {
		case itemApplication:
			a.application = uid(v)
		case itemContextOffer, itemContextAnswer:
			if len(v) < 4 || v[0]&1 == 0 || seen[v[0]] || len(seen) == maxContexts {
				return broken(invalidParam, "presentation contexts that are no such")
			}
			seen[v[0]] = true
			if kind == itemContextOffer {
				return a.offer(v)
			}
			return a.answer(v)
		case itemUser:
			return items(v, a.user)
		}
		return nil // PS3.8 §9.3.1: what nobody knows is passed over
	})
}

func title(b []byte) string { return strings.Trim(string(b), " \x00") }

func (a *associate) offer(v []byte) error {
	o := offer{id: v[0]}
	err := items(v[4:], func(kind byte, v []byte) error {
		switch {
		case kind == itemAbstract && o.class == "":
			o.class = uid(v)
		case kind == itemAbstract, kind == itemTransfer && len(o.syntaxes) == maxSyntaxes:
			return broken(invalidParam, "a presentation context that is none")
		case kind == itemTransfer:
			o.syntaxes = append(o.syntaxes, uid(v))
		}
		return nil
	})
	a.offers = append(a.offers, o)
	return err
}

func (a *associate) answer(v []byte) error {
	n := answer{id: v[0], result: v[2]}
	err := items(v[4:], func(kind byte, v []byte) error {
		if kind == itemTransfer {
			n.syntax = uid(v)
		}
		return nil
	})
	a.answers = append(a.answers, n)
	return err
}

// user reads a sub-item of the user information. What it holds besides (user identities, versions) says nothing to us.
func (a *associate) user(kind byte, v []byte) error {
	switch kind {
	case itemLength:
		if len(v) != 4 {
			return broken(invalidParam, "a maximum length that is none")
		}
		a.length = binary.BigEndian.Uint32(v)
	case itemWindow:
		a.window = true
	case itemRoles, itemExtended:
		if len(v) < 2 {
			return broken(invalidParam, "a negotiation that is cut")
		}
		n := int(binary.BigEndian.Uint16(v))
		if n > len(v)-2 || kind == itemRoles && len(v) < n+4 {
			return broken(invalidParam, "a negotiation that is cut")
		}
		if len(a.roles)+len(a.storage) >= 2*maxContexts {
			return broken(invalidParam, "more negotiations than presentation contexts")
		}
		if class := uid(v[2 : 2+n]); kind == itemRoles {
			a.roles = append(a.roles, roles{class, v[2+n], v[3+n]})
		} else {
			a.storage = append(a.storage, class)
		}
	}
	return nil
}

// compose makes the PDU. The titles of an answer are those of the request (PS3.8 §9.3.3).
func (a *associate) compose(kind byte) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 1024), 1)
	b = append(b, 0, 0)
	for _, t := range []string{a.called, a.calling} {
		b = append(b, t[:min(len(t), maxTitle)]...)
		b = append(b, strings.Repeat(" ", max(0, maxTitle-len(t)))...)
	}
	b = append(b, make([]byte, 32)...)
	b = item(b, itemApplication, []byte(applicationContext))
	for _, o := range a.offers {
		v := item([]byte{o.id, 0, 0, 0}, itemAbstract, []byte(o.class))
		for _, s := range o.syntaxes {
			v = item(v, itemTransfer, []byte(s))
		}
		b = item(b, itemContextOffer, v)
	}
	for _, n := range a.answers {
		b = item(b, itemContextAnswer, item([]byte{n.id, 0, n.result, 0}, itemTransfer, []byte(n.syntax)))
	}
	return pdu(kind, item(b, itemUser, a.composeUser()))
}

func (a *associate) composeUser() []byte {
	u := item(nil, itemLength, binary.BigEndian.AppendUint32(nil, a.length))
	u = item(u, itemImplementation, []byte(dicom.ImplementationUID))
	if a.window {
		u = item(u, itemWindow, []byte{0, 1, 0, 1}) // PS3.7 §D.3.3.3: one operation at a time
	}
	for _, r := range a.roles {
		v := append(binary.BigEndian.AppendUint16(nil, uint16(len(r.class))), r.class...)
		u = item(u, itemRoles, append(v, r.scu, r.scp))
	}
	u = item(u, itemVersion, []byte(dicom.ImplementationName))
	for _, class := range a.storage {
		// PS3.4 §B.3.1: every element is kept (level 2), digital signatures bit by bit (level 3), nothing is coerced.
		v := append(binary.BigEndian.AppendUint16(nil, uint16(len(class))), class...)
		u = item(u, itemExtended, append(v, 2, 0, 3, 0, 0, 0))
	}
	return u
}
