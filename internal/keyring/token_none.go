//go:build !pkcs11

package keyring

import "fmt"

// openLibrary is that of programs which are linked without C (see token_pkcs11.go).
func openLibrary(TokenOptions) (library, error) {
	return nil, fmt.Errorf("%w: this carepost was built without PKCS #11; build it with CGO_ENABLED=1 go build -tags pkcs11 ./cmd/carepost", ErrNoToken)
}
