package fileset

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"carepost/dicom"
)

// everyClass has an instance of each class that is wanted.
func everyClass(t *testing.T, make func(class, instance string, more ...[]byte) []byte, wanted func(class) bool) *Plan {
	dir := t.TempDir()
	for i, c := range classes {
		if wanted(c) {
			writeFile(t, dir, fmt.Sprintf("%03d", i), make(classRoot+c.uid, fmt.Sprintf("1.2.3.4.%d", i+1)))
		}
	}
	return scan(t, dir)
}

// whole makes an instance that has a value for each key of its records; of an implant's, which dcmmkdir takes for one another's, for both.
func whole(class, instance string, _ ...[]byte) []byte {
	tables := newTables()
	r := tables.byClass[class]
	records, values := []*record{r}, map[dicom.Tag][]byte{tagSOPClass: appendText(nil, tagSOPClass, class), tagSOPInstance: appendText(nil, tagSOPInstance, instance)}
	if !r.root && !slices.Contains(ofNobody, class) {
		records = append(records, tables.patient, tables.study, tables.series)
	}
	if strings.HasPrefix(r.name, "IMPLANT ") {
		records = append(records, tables.byName["IMPLANT ASSY"], tables.byName["IMPLANT GROUP"])
	}
	for _, r := range records {
		for _, k := range r.keys {
			if k.need != optional {
				values[k.tag] = appendElement(nil, k.tag, dicom.VROf(k.tag), k.example())
			}
		}
	}
	var elements [][]byte
	for _, tag := range slices.Sorted(maps.Keys(values)) {
		elements = append(elements, values[tag])
	}
	return part10(class, instance, elements...)
}

// example is a value that k may have.
func (k key) example() []byte {
	if k.fallback != "" {
		return []byte(k.fallback)
	}
	if k.supply == anyModality {
		return otherModality()
	}
	switch dicom.VROf(k.tag).String() {
	case "SQ":
		return unknown()
	case "DA":
		return []byte("20260102")
	case "DT":
		return []byte("20260102101500")
	case "TM":
		return []byte("101500")
	case "UI":
		return []byte("1.2.3." + strconv.Itoa(int(k.tag&0xFF)))
	case "IS":
		return []byte("1")
	case "PN":
		return []byte("Berg^Ann")
	}
	return []byte("TEXT")
}
