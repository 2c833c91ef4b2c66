//go:build ignore

// Command write puts synthetic studies into folders:
//
//	go run internal/demo/bigstudy/write.go -dir /tmp/big                20 objects of 50 MB
//	go run internal/demo/bigstudy/write.go -dental -dir DIR             the small dental study
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"carepost/internal/demo/bigstudy"
)

func main() {
	dir := flag.String("dir", "", "folder to write to")
	objects := flag.Int("objects", 20, "number of objects")
	size := flag.Int64("bytes", 50_000_000, "bytes of each")
	dental := flag.Bool("dental", false, "write the small dental study instead")
	flag.Parse()
	err := fmt.Errorf("-dir is missing")
	switch {
	case *dir == "":
	case *dental:
		err = bigstudy.Dental(*dir)
	default:
		err = bigstudy.Write(context.Background(), *dir, *objects, *size)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
