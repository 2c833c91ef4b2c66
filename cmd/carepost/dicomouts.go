package main

import (
	"carepost/internal/config"
	"carepost/internal/gateway"
)

// outsOf reads the secrets of the destinations for studies.
func outsOf(c *config.Config) (outs []gateway.Out, err error) {
	for _, o := range c.DICOM.Outs {
		x := gateway.Out{Name: o.Name, For: o.For, With: o.With, Patience: o.Patience, Quietly: o.Quietly, Letter: o.Letter, STOW: o.STOW, Address: o.Address, Called: o.Called,
			Calling: o.Calling, Plain: o.Plain, CA: o.CA, Certificate: o.Certificate, Key: o.Key, User: o.User}
		if x.Password, err = o.Password.Read(); err != nil {
			return nil, err
		}
		if x.Token, err = o.Token.Read(); err != nil {
			return nil, err
		}
		outs = append(outs, x)
	}
	return outs, nil
}
