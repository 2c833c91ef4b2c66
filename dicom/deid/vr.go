package deid

import (
	"sort"
	"strconv"

	"carepost/dicom"
)

const entry = 10 // bytes of one element in the dictionary

// vrOf gives the VR of a data element of PS3.6.
func vrOf(t dicom.Tag) (v dicom.VR, known bool) {
	at := func(i int) dicom.Tag {
		n, _ := strconv.ParseUint(elements[i*entry:i*entry+8], 16, 32) // written by the generator
		return dicom.Tag(n)
	}
	n := len(elements) / entry
	i := sort.Search(n, func(i int) bool { return at(i) >= t })
	if i == n || at(i) != t {
		return vr("UN"), false
	}
	return dicom.VR{elements[i*entry+8], elements[i*entry+9]}, true
}

func vr(s string) dicom.VR { return dicom.VR{s[0], s[1]} }
