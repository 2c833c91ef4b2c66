package smime

import (
	"errors"
	"fmt"

	"carepost/cms"
	"carepost/message"
)

// What callers branch on. Every other error comes from the reader or writer that was passed in (or from a key that cannot be
// used now: cms.ErrUnavailable), is wrapped, and says that there is no answer yet.
var (
	// ErrPlain: the message is not enveloped: plain mail, or signed without encryption, or with something beside it.
	ErrPlain = errors.New("smime: not an encrypted message")
	// ErrNoKey: none of the keys is a recipient of the message.
	ErrNoKey = errors.New("smime: no key opens this message")
	// ErrDecrypt is the one answer to a wrong key, bad padding, a cut, noise where a MIME entity should begin and whatever else
	// would make an oracle. It is never wrapped.
	ErrDecrypt = errors.New("smime: the message does not decrypt")
	// ErrUnsigned: decrypted, and nobody signed it, neither inside nor around (Direct 2.4).
	ErrUnsigned = errors.New("smime: the message is not signed")
	// ErrStructure: not the one structure that Direct 2.4 and 2.5.1 know, nor one asked for by Forms, or one that can be read in
	// two ways. Where a part of it could not be read at all the reason is wrapped beside it: cms.ErrSyntax and
	// message.ErrEncoding mean a part that is damaged or cut, cms.ErrAlgorithm one made by an algorithm that is not accepted
	// (Direct 2.6, 2.7).
	ErrStructure = errors.New("smime: not encrypt(multipart/signed)")
	// ErrLimit: over a limit of OpenOptions.
	ErrLimit = errors.New("smime: over a limit")
)

func structure(why string) error { return fmt.Errorf("%w: %s", ErrStructure, why) }

// classify wraps an error about the message, of message or cms, in one of ours; what names the place, and nothing of the input is
// repeated. Other errors are only wrapped: there is no answer yet.
func classify(err error, what string) error {
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case is(ErrStructure), is(ErrLimit):
		return err
	case is(message.ErrLimit), is(cms.ErrLimit):
		return fmt.Errorf("%w: %s: %w", ErrLimit, what, err)
	case is(message.ErrSyntax), is(message.ErrAmbiguous), is(message.ErrEncoding),
		is(cms.ErrSyntax), is(cms.ErrContentType), is(cms.ErrEmbedded), is(cms.ErrDetached), is(cms.ErrAlgorithm):
		return fmt.Errorf("%w: %s: %w", ErrStructure, what, err)
	}
	return fmt.Errorf("smime: %s: %w", what, err)
}
