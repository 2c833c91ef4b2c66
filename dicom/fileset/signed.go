package fileset

// signedNote tells people of digital signatures inside instances: clinical attestations are these alone, never the signature of a mail (PS3.15
// B.8). They are not judged; what keeps every octet keeps them.
func signedNote(n int) Finding {
	return ruleSigned.at("", "%d of the instances carry digital signatures: they hold as long as nobody changes these instances, as de-identification does; whether they "+
		"are good is not looked at", n)
}
