package statement

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const storeTransaction = "DICOMweb Store Transaction (PS3.18 10.5)"

// StoreServer is what an origin server of the Store transaction holds to.
type StoreServer struct {
	Connections int           // at once
	Objects     int           // of one request
	Unreadable  int           // parts of one request that are no objects
	Within      int           // octets of an object within which its UIDs stand
	Idle        time.Duration // between two reads of a body
	Reasons     []uint16      // of (0008,1197)
}

// AddStoreServer adds the server, which stands in another layer.
func (s *Statement) AddStoreServer(x StoreServer) {
	var reasons []string
	for _, r := range x.Reasons {
		reasons = append(reasons, fmt.Sprintf("%04XH", r))
	}
	s.Network = append(s.Network, Entity{
		Name:     "STOW-RS origin server",
		Purpose:  "Takes instances that programs of the house hand in by HTTP, keeps each as it came, and sends each study by mail once it is quiet.",
		Services: []Service{{Name: storeTransaction, Provider: true, Syntaxes: "that of each instance, whichever: nothing is converted"}},
		Parameters: []Parameter{
			{"resources", "POST /NAME/studies and /NAME/studies/STUDY; NAME is what routes know as the called title"},
			{"representation", `multipart/related; type="application/dicom", one instance in each part; metadata with bulk data apart is not taken`},
			{"answer", "application/dicom+json, or application/dicom+xml where that alone is asked for"},
			{"statuses", "200 all are stored; 202 some are, the others are listed; 409 none is; 503 there is no room, later; 400, 401, 404, 405, 413, 415, 429 for the request itself"},
			{"reasons of (0008,1197)", strings.Join(reasons, ", ")},
			{"instances of one request", fmt.Sprintf("%d, and %d parts that are none", x.Objects, x.Unreadable)},
			{"SOP Class, SOP Instance and Study Instance UID of an instance", "within its first " + size(int64(x.Within))},
			{"connections at once", strconv.Itoa(x.Connections)},
			{"time-outs", "silence " + seconds(x.Idle)},
			{"authentication", "name and password of an account (RFC 7617), token (RFC 6750), or a client certificate that TLS has verified"},
			{"other DICOMweb transactions", "none: nothing is searched for or retrieved"},
		},
	})
}

// web is the user agent of DICOMweb.
func web() Entity {
	return Entity{
		Name:    "STOW-RS user agent",
		Purpose: "Gives instances that arrived to archives that take them by HTTP.",
		Services: []Service{
			{Name: storeTransaction, User: true, Syntaxes: "that of the instance alone: nothing is converted"},
		},
		Parameters: []Parameter{
			{"representation", `multipart/related; type="application/dicom", one instance in each part`},
			{"answer", "asked for as application/dicom+json"},
			made(),
			{"instances that are not taken", "listed; those that may be taken later are tried again on their own"},
		},
	}
}
