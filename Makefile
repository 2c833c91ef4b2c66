# make test   what a change must pass: peers installed, vet, staticcheck, all tests at small counts, races where they can hide
# make check  the same at full counts, before an issue is called resolved
# make fuzz   every fuzz target for FUZZTIME each, one after the other at the lowest priority; FUZZ="cms smime" is those of these folders
# make bench  benchmarks beside the peers, in one run; CAREPOST_FULL=1 takes the S/MIME engine to full size and has its targets met

export CGO_ENABLED ?= 0
FUZZTIME ?= 10m
FUZZ ?= .
# Rooms whose goroutines meet are tested under the race detector by `make test`, and only so; `make check` tests all rooms plain, and races
# whatever can be. The trials drive processes of their own: they have nothing to race with. Power cuts are raced at small counts, for what
# they are after is the disk, and so is smime, for its messages are long. Tokens (PKCS #11) want cgo, as the race detector does: they are
# tested, vetted and checked in its build, for a third one takes minutes. What `make vet` has vetted is not vetted again by tests.
RACE = $(shell go list ./dicom/dimse ./resolver/... ./trust/... ./discovery/... $(addprefix ./internal/,admin admind agent audit auditor blob certd dicomd dnsd fetch flow gateway intake keyring ldapd mailbox pilot queue relay smtpd store sweep vault))
RACED = $(filter-out carepost/internal/trial% carepost/internal/crashfs%,$(shell go list ./dicom/... ./resolver/... ./trust/... ./discovery/... ./internal/...))
# The engine of the SQLite database, C made into Go, is left uninstrumented: it is not ours, and takes most of the time.
RACING = -race -gcflags=modernc.org/sqlite/lib=-race=false
SHORT = carepost/internal/crashfs carepost/smime
PLAIN = $(filter-out $(RACE) $(SHORT),$(shell go list ./...))

.PHONY: build test check peers vet fuzz bench
build:
	go build -o carepost ./cmd/carepost

test: peers vet
	go test -vet=off $(PLAIN)
	CGO_ENABLED=1 go test -vet=off $(RACING) -tags pkcs11 -short $(RACE) $(SHORT)
	CGO_ENABLED=1 go test -vet=off $(RACING) -tags pkcs11 -run Token ./cmd/carepost

check: peers vet
	CAREPOST_FULL=1 go test -count=1 -timeout 60m ./...
	CGO_ENABLED=1 CAREPOST_FULL=1 go test -tags pkcs11 -count=1 ./internal/keyring
	CGO_ENABLED=1 CAREPOST_FULL=1 go test -tags pkcs11 -count=1 -run Token ./internal/gateway ./cmd/carepost
	CGO_ENABLED=1 CAREPOST_FULL=1 go test $(RACING) -count=1 -timeout 60m $(RACED)
	CGO_ENABLED=1 go test $(RACING) -short -count=1 $(SHORT)

peers:
	sh scripts/peers

vet:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt wants:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	CGO_ENABLED=1 go vet $(RACING) -tags pkcs11 ./internal/keyring ./internal/gateway ./cmd/carepost
	staticcheck=$$(go tool -modfile=tools/go.mod -n staticcheck) && CGO_ENABLED=1 GOFLAGS="$(GOFLAGS) $(RACING)" $$staticcheck -tags pkcs11 ./...

fuzz:
	sh scripts/fuzz $(FUZZTIME) $(FUZZ)

bench: peers
	go test -p 1 -timeout 60m -run '^$$' -bench . -benchtime 1s ./...
