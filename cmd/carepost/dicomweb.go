package main

import (
	"carepost/internal/config"
	"carepost/internal/dicomweb"
	"carepost/internal/gateway"
)

// webOf reads the tokens of programs that hand in objects by STOW-RS.
func webOf(d config.DICOMWeb) (gateway.Web, error) {
	w := gateway.Web{Plain: d.Plain, Certificate: d.Certificate, Key: d.Key, CA: d.CA}
	for _, c := range d.Clients {
		token, err := c.Token.Read()
		if err != nil {
			return w, err
		}
		w.Clients = append(w.Clients, dicomweb.Client{Name: c.Name, Token: token, From: c.Account})
	}
	return w, nil
}
