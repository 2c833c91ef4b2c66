package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/smime"
	"carepost/trust"
)

// ahead is how far a signer's clock may be before ours. What a signer says of the time is no time to validate anything at: chains are
// judged at the time of receipt, and a signature of tomorrow is none (RFC 5652 §11.3 leaves this to us).
const ahead = 24 * time.Hour

// maxJudged is how many good signatures of one message are judged. More is nobody's honest mail, and each may cost fetches.
const maxJudged = 16

// Signature is one signature of a message with what is to be thought of it.
type Signature struct {
	smime.Signature
	Verdict trust.Verdict
}

// signatures judges every signature of an arrival, in the order of the message.
func (a *Agent) signatures(ctx context.Context, to Party, in Arrival, senders []addr.Address, now time.Time) []Signature {
	judged := 0
	var all []Signature
	for _, s := range in.Opened.Signatures {
		v := to.faulty(s, in.received(now))
		if v.Status == trust.Undecided {
			if judged++; judged > maxJudged {
				v = refuse("Direct 4 (2)", "so many signatures of one message are not looked at")
			} else {
				v = a.signer(ctx, to, in, s, senders, now)
			}
		}
		all = append(all, Signature{s, v})
	}
	return all
}

// faulty refuses a signature that proves nothing, whoever made it. The zero Verdict says nothing against it.
func (p Party) faulty(s smime.Signature, received time.Time) trust.Verdict {
	is := func(target error) bool { return errors.Is(s.Err, target) }
	switch {
	case s.Certificate == nil:
		return refuse("Direct 2.5.2", "the signature does not carry the signing certificate")
	case is(cms.ErrAlgorithm), s.Err == nil && !p.accepts(s):
		return refuse("Direct 2.6", "the signature is made by an algorithm that is not accepted")
	case is(cms.ErrAttributes):
		return refuse("RFC 5652 §5.3", "the signed attributes of the signature are not what they must be")
	case s.Err != nil:
		return refuse("Direct 4 (2)", "the signature does not fit the content: the message was changed or damaged on its way")
	case s.SigningTime.After(received.Add(ahead)):
		return refuse("RFC 5652 §11.3", "the signature says that it was made more than a day after the message had come")
	}
	return trust.Verdict{}
}

// signer judges the certificate of a good signature: for every sender that it must be bound to.
func (a *Agent) signer(ctx context.Context, to Party, in Arrival, s smime.Signature, senders []addr.Address, now time.Time) (v trust.Verdict) {
	for i, sender := range senders {
		q := to.ask(s.Certificate, sender, in.Budget)
		q.Use, q.Now = trust.Signing, now
		q.Intermediates = slices.Concat(in.Opened.Certificates, q.Intermediates)
		next := a.Judge.Judge(ctx, q)
		if i == 0 || next.Status != trust.Trusted {
			v = next
		}
		if v.Status != trust.Trusted {
			break
		}
	}
	return v
}

// spoilt refuses what a trusted signature does not outweigh: a bad one of the same certificate, for one of the two is a forgery, and of
// signatures around the ciphertext those that do not hold. The zero Verdict says that there is nothing of the kind.
func spoilt(o *smime.Opened) trust.Verdict {
	switch {
	case claimedTwice(o.Signatures):
		return refuse("RFC 5652 §5.6", "one signature is good, but another of the same certificate is not")
	case !whole(o.OuterSignatures):
		return refuse("RFC 2634 §1.1", "the signature around the encrypted message does not fit it")
	}
	return trust.Verdict{}
}

// whole says that every signer has a good signature. One SignerInfo may stand for several certificates, of which one made it.
func whole(all []smime.Signature) bool {
	good := map[int]bool{}
	for _, s := range all {
		good[s.Signer] = good[s.Signer] || s.Err == nil && s.Certificate != nil
	}
	for _, g := range good {
		if !g {
			return false
		}
	}
	return true
}

// claimedTwice says that a certificate with a good signature also stands beside a bad one (facts: multiple signers).
func claimedTwice(all []smime.Signature) bool {
	return slices.ContainsFunc(all, func(good smime.Signature) bool {
		return good.Err == nil && good.Certificate != nil && slices.ContainsFunc(all, func(bad smime.Signature) bool {
			return bad.Err != nil && bad.Certificate != nil && bad.Certificate.Equal(good.Certificate)
		})
	})
}
