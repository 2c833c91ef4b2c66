package main

import (
	"reflect"

	"carepost/internal/config"
	"carepost/internal/gateway"
)

// dicomOf is what the gateway is told of [dicom].
func dicomOf(d config.DICOM) gateway.DICOM {
	return gateway.DICOM{AETitle: d.AETitle, Called: d.Called, Calling: d.Calling, Hosts: d.Hosts, Certificate: d.TLS.Certificate, Key: d.TLS.Key, CA: d.TLS.CA,
		Quiet: d.Quiet, Remember: d.Remember, Routes: d.Routes, Tell: d.Tell}
}

// dicomChanged compares what cannot be exchanged while the gateway runs.
func dicomChanged(a, b config.DICOM) bool {
	a.Routes, b.Routes = nil, nil
	return !reflect.DeepEqual(a, b)
}
