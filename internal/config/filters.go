package config

import (
	"errors"
	"fmt"

	"carepost/internal/agent"
	"carepost/trust/policy"
)

// certificates is [policy.certificates] as it is written: expressions of package policy, each here or in a file.
type certificates struct {
	Trust       string `toml:"trust"`
	TrustFile   string `toml:"trust_file"`
	Sign        string `toml:"sign"`
	SignFile    string `toml:"sign_file"`
	Encrypt     string `toml:"encrypt"`
	EncryptFile string `toml:"encrypt_file"`
}

// filters reads the expressions. What is wrong in a file is told with the place in it.
func filters(c certificates, within func(string) string, wrong func(key, format string, a ...any) error) (f agent.Filters, err error) {
	for _, x := range []struct {
		key, text, file string
		to              **policy.Expression
	}{{"trust", c.Trust, c.TrustFile, &f.Trust}, {"sign", c.Sign, c.SignFile, &f.Sign}, {"encrypt", c.Encrypt, c.EncryptFile, &f.Encrypt}} {
		key := "policy.certificates." + x.key
		switch {
		case x.text == "" && x.file == "":
			continue
		case x.text != "" && x.file != "":
			return f, wrong(key, "it stands here and in %s_file; one of both is to be there", x.key)
		case x.file != "":
			if x.text, err = read(within(x.file)); err != nil {
				return f, err
			}
		}
		if *x.to, err = policy.Parse(x.text); err == nil {
			continue
		}
		bad := (*policy.Error)(nil)
		switch {
		case !errors.As(err, &bad):
			return f, err
		case x.file != "":
			return f, &Error{within(x.file), bad.Line, fmt.Sprintf("column %d: %s", bad.Column, bad.Reason)}
		}
		return f, wrong(key, "line %d, column %d of the expression: %s", bad.Line, bad.Column, bad.Reason)
	}
	return f, nil
}
