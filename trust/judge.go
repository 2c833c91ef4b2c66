package trust

import "context"

// Judge answers Questions. It keeps bounded caches of CRLs, fetched issuers and checked signatures, and is safe for concurrent
// use. The zero Judge fetches nothing.
type Judge struct {
	Fetcher Fetcher // nil: nothing is fetched; not to be changed after first use
}

// NewJudge returns a Judge that fetches missing issuers and CRLs through f; nil fetches nothing.
func NewJudge(f Fetcher) *Judge { return &Judge{Fetcher: f} }

// Judge answers q. It never fails: what cannot be known now is Undecided, a ctx that ends too. Equal questions over equal
// answers of the network get equal verdicts.
func (j *Judge) Judge(ctx context.Context, q Question) Verdict { panic("unimplemented") }
