package fileset

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"

	"carepost/dicom"
)

var errManifest = errors.New("fileset: a MANIFEST of ours")

// isManifest knows a MANIFEST that Unpack left in a folder.
func isManifest(head []byte) bool { return bytes.HasPrefix(head, []byte(manifestTitle)) }

// litter are files that systems leave in folders.
func litter(name string) bool {
	switch strings.ToLower(name) {
	case ".ds_store", "thumbs.db", "desktop.ini", ".directory", "__macosx":
		return true
	}
	return strings.HasPrefix(name, "._")
}

// isForeign says that a file is no image of anybody, as far as its beginning and its name tell. A data set that lost its file header, and an empty
// file that is called as images are, may have been meant to be in the set: they are never left out in silence.
func isForeign(path string, err error) bool {
	switch {
	case errors.Is(err, dicom.ErrEmpty):
		switch strings.ToLower(filepath.Ext(path)) {
		case "", ".dcm", ".dicom", ".dic", ".ima", ".img":
			return false
		}
		return true
	case errors.Is(err, dicom.ErrBare):
		return false
	}
	return errors.Is(err, dicom.ErrNotDICOM)
}
