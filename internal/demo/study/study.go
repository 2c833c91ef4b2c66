// Package study carries a small synthetic dental study of one patient: what `carepost demo` sends when no study is named.
//
// The images are made by package bigstudy: gradients and shapes that look like radiographs and show nobody. They are valid for the
// dental profile STD-DTL-SEC-ZIP-MAIL. To make them anew: go run internal/demo/bigstudy/write.go -dental -dir internal/demo/study/files
package study

import (
	"embed"
	"io/fs"
)

//go:embed files
var files embed.FS

// FS gives the files of the study.
func FS() fs.FS {
	sub, err := fs.Sub(files, "files")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}
