package gateway

import (
	"fmt"
	"net"
)

// Listeners are what an installation hears on. They are made by the caller, who knows the ports, and closed by Run. One that is nil is off.
type Listeners struct {
	MX          net.Listener
	Submission  net.Listener   // STARTTLS
	Submissions net.Listener   // TLS from the first byte; the listener itself knows nothing of it
	DNS         net.PacketConn // publication of MX, CERT and the like; DNSTCP goes with it
	DNSTCP      net.Listener
	LDAP        net.Listener // the same certificates by LDAP
	HTTP        net.Listener // AIA and CRL of the pilot CA
	DICOM       net.Listener // devices, in clear
	DICOMTLS    net.Listener // and by TLS; the listener itself knows nothing of it
	DICOMWeb    net.Listener // programs of the house, by STOW-RS; the listener itself knows nothing of TLS
	Admin       net.Listener // unix socket of the operator's commands
}

// Loopback listens on ports of 127.0.0.1 that nobody else has.
func Loopback() (Listeners, error) {
	const any = "127.0.0.1:0"
	var l Listeners
	var err error
	for _, to := range []*net.Listener{&l.MX, &l.HTTP, &l.DNSTCP} {
		if *to, err = net.Listen("tcp", any); err != nil {
			l.Close()
			return Listeners{}, fmt.Errorf("gateway: loopback: %w", err)
		}
	}
	if l.DNS, err = net.ListenPacket("udp", l.DNSTCP.Addr().String()); err != nil {
		l.Close()
		return Listeners{}, fmt.Errorf("gateway: loopback: %w", err)
	}
	return l, nil
}

// Close closes those that are there. Run has done so when it returns; who never comes to run them does it himself.
func (l Listeners) Close() {
	for _, x := range []net.Listener{l.MX, l.Submission, l.Submissions, l.HTTP, l.DNSTCP, l.LDAP, l.DICOM, l.DICOMTLS, l.DICOMWeb, l.Admin} {
		if x != nil {
			x.Close()
		}
	}
	if l.DNS != nil {
		l.DNS.Close()
	}
}

// Port of a listener.
func Port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
