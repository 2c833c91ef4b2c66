package fileset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// manifestTitle begins every MANIFEST; the number is that of its format.
const manifestTitle = "CAREPOST MANIFEST 1\r\n"

// manifestText explains the file to whoever opens it. It is part of the format.
const manifestText = manifestTitle +
	"Every file of this DICOM File-set: SHA-256, size in bytes, File ID. The set is complete only if all of them\r\n" +
	"are there and unchanged. The last line is the SHA-256 and the size of the lines above it.\r\n\r\n"

// hashed is a line of MANIFEST.
type hashed struct {
	sum  [sha256.Size]byte
	size int64
	name string
}

// manifestMaker writes MANIFEST line by line.
type manifestMaker struct{ b []byte }

// newManifest makes room for so many files.
func newManifest(files int) *manifestMaker {
	return &manifestMaker{b: append(make([]byte, 0, len(manifestText)+files*(len(hashed{}.sum)*2+30)), manifestText...)}
}

func (m *manifestMaker) add(sum []byte, size int64, name string) {
	m.b = append(hex.AppendEncode(m.b, sum), ' ')
	m.b = append(strconv.AppendInt(m.b, size, 10), ' ')
	m.b = append(append(m.b, name...), '\r', '\n')
}

// bytes closes the file with a line about itself.
func (m *manifestMaker) bytes() []byte {
	sum := sha256.Sum256(m.b)
	m.add(sum[:], int64(len(m.b)), DescriptorName)
	return m.b
}

var errManifestSyntax = errors.New("fileset: not a MANIFEST as written")

// readManifest takes MANIFEST apart. It is as it was written or it is refused: a changed byte shows in its last line.
func readManifest(b []byte) (map[string]hashed, error) {
	rest, ok := strings.CutPrefix(string(b), manifestText)
	if !ok {
		return nil, fmt.Errorf("%w: its head differs", errManifestSyntax)
	}
	files := make(map[string]hashed)
	for rest != "" {
		above := len(b) - len(rest)
		line, after, ok := strings.Cut(rest, "\r\n")
		h, err := manifestLine(line)
		if !ok || err != nil {
			return nil, fmt.Errorf("%w: a line is broken", errManifestSyntax)
		}
		rest = after
		if h.name == DescriptorName {
			sum := sha256.Sum256(b[:above])
			if rest != "" || h.size != int64(above) || !bytes.Equal(sum[:], h.sum[:]) {
				return nil, fmt.Errorf("%w: its lines are not those it was closed with", errManifestSyntax)
			}
			return files, nil
		}
		if _, twice := files[h.name]; twice || h.name != DirectoryName && !validFileID(h.name) && !ValidExtra(h.name) {
			return nil, fmt.Errorf("%w: a file is named twice or wrongly", errManifestSyntax)
		}
		files[h.name] = h
	}
	return nil, fmt.Errorf("%w: it is cut", errManifestSyntax)
}

func manifestLine(line string) (h hashed, err error) {
	sum, rest, _ := strings.Cut(line, " ")
	size, name, _ := strings.Cut(rest, " ")
	raw, err := hex.DecodeString(sum)
	if err != nil || len(raw) != sha256.Size || hex.EncodeToString(raw) != sum {
		return h, errManifestSyntax
	}
	copy(h.sum[:], raw)
	h.size, err = strconv.ParseInt(size, 10, 64)
	if err != nil || h.size < 0 || strconv.FormatInt(h.size, 10) != size || name == "" {
		return h, errManifestSyntax
	}
	h.name = name
	return h, nil
}
