// Package bench measures Carepost's S/MIME engine and independent programs beside it, in one run and in alternated rounds: what it
// prints are ratios, which a busy machine changes less than times. It is nothing but benchmarks: `go test` alone runs none of them.
package bench
