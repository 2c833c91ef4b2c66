package pki

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"carepost/trust"
	"carepost/trust/casetest"
)

// opinion is what OpenSSL says of a question.
type opinion struct {
	accepts bool
	word    string // why not: "certificate has expired"
}

var lookup = regexp.MustCompile(`(?m)^error (\d+) at (-?\d+) depth lookup: (.*)$`)

// ask puts the question of w to openssl verify. Its options are ours: the moment, anchors that need not be roots, all that is given
// or served as candidates, 2048 bits and SHA-256 at least (-auth_level 2), no more than eight certificates, RFC 5280 to the letter, policies
// where a certificate of the path demands them, and lists for the whole path where the case has any.
func ask(t *testing.T, w *casetest.World) opinion {
	dir := t.TempDir()
	lists := w.Question.CRLs
	candidates := w.Question.Intermediates
	if !w.Offline {
		lists, candidates = w.Lists, append(candidates[:len(candidates):len(candidates)], w.Served...)
	}
	args := []string{"verify", "-no-CAfile", "-no-CApath", "-no-CAstore", "-trusted", certificates(t, dir, "anchors", w.Question.Anchors),
		"-attime", fmt.Sprint(w.Question.Now.Unix()), "-partial_chain", "-x509_strict", "-auth_level", "2", "-verify_depth", "6", "-check_ss_sig", "-policy_check"}
	args = append(args, policies(w.Question.Policies)...)
	if len(candidates) > 0 {
		args = append(args, "-untrusted", certificates(t, dir, "candidates", candidates))
	}
	if w.Asked() {
		args = append(args, "-crl_check_all")
		if lists = append(w.Fillers(), lists...); len(lists) > 0 {
			args = append(args, "-CRLfile", file(t, dir, "lists", "X509 CRL", raws(lists)...))
		}
	}
	if w.Deltas {
		args = append(args, "-use_deltas")
	}
	if w.Split {
		args = append(args, "-extended_crl") // lists for some reasons; otherwise not, for with it indirect lists count too
	}
	leaf := w.Garbled
	if leaf == nil {
		leaf = w.Question.Certificate.Raw
	}
	target := file(t, dir, "leaf", "CERTIFICATE", leaf)
	for _, purpose := range purposes(w.Question.Use) {
		if said := verify(t, append(args, "-purpose", purpose, target)); !said.accepts {
			return said
		}
	}
	return opinion{accepts: true}
}

// policies are the inputs of RFC 5280 §6.1.1 (c), (e) to (g).
func policies(p trust.PolicyInput) (args []string) {
	for _, id := range p.Initial {
		args = append(args, "-policy", id.String())
	}
	if len(p.Initial) == 0 {
		args = append(args, "-policy", "2.5.29.32.0")
	}
	for option, set := range map[string]bool{"-explicit_policy": p.Explicit, "-inhibit_map": p.InhibitMapping, "-inhibit_any": p.InhibitAny} {
		if set {
			args = append(args, option)
		}
	}
	return args
}

// purposes are those of OpenSSL for a use.
func purposes(u trust.Use) []string {
	switch u {
	case trust.Signing:
		return []string{"smimesign"}
	case trust.Encryption:
		return []string{"smimeencrypt"}
	}
	return []string{"smimesign", "smimeencrypt"}
}

// verify runs openssl and reads its answer.
func verify(t *testing.T, args []string) opinion {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
	if err == nil {
		return opinion{accepts: true}
	}
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		t.Fatal(err)
	}
	switch m := lookup.FindStringSubmatch(string(out)); {
	case m != nil:
		return opinion{word: strings.ToLower(m[3])}
	case strings.Contains(string(out), "Could not read"), strings.Contains(string(out), "nable to load"):
		return opinion{word: "could not read the certificate"}
	}
	t.Fatalf("openssl %s:\n%s", strings.Join(args, " "), out)
	return opinion{}
}

func raws(lists []*x509.RevocationList) (out [][]byte) {
	for _, l := range lists {
		out = append(out, l.Raw)
	}
	return out
}

func certificates(t *testing.T, dir, name string, certs []*x509.Certificate) string {
	t.Helper()
	var out [][]byte
	for _, c := range certs {
		out = append(out, c.Raw)
	}
	return file(t, dir, name, "CERTIFICATE", out...)
}

// file writes PEM.
func file(t *testing.T, dir, name, kind string, ders ...[]byte) string {
	t.Helper()
	var all []byte
	for _, der := range ders {
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	path := filepath.Join(dir, name+".pem")
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
