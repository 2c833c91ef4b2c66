package main

import (
	"carepost/internal/config"
	"carepost/internal/gateway"
)

// dicomOf is what the gateway is told of [dicom].
func dicomOf(d config.DICOM) gateway.DICOM {
	return gateway.DICOM{AETitle: d.AETitle, Called: d.Called, Calling: d.Calling, Hosts: d.Hosts, Certificate: d.TLS.Certificate, Key: d.TLS.Key, CA: d.TLS.CA,
		Quiet: d.Quiet, Remember: d.Remember, Routes: d.Routes}
}
