package bigstudy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// exposure is one image of the dental study.
type exposure struct {
	file, class, modality  string
	series, number         int
	rows, columns          int
	stored                 uint16
	tooth                  [3]string // code of the Primary Anatomic Structure
	side                   string
	teeth                  float64 // how many stand side by side
	orientation, detection string
}

const (
	intraOral = "1.2.840.10008.5.1.4.1.1.1.3"
	digital   = "1.2.840.10008.5.1.4.1.1.1.1"
)

// exposures use every number of bits that PS3.11 Table X.4-1 allows but 16, and both classes of X.4.1.
var exposures = []exposure{
	{"bitewing-right.dcm", intraOral, "IO", 1, 1, 288, 384, 8, [3]string{"245646006", "SCT", "Permanent upper right 1st molar"}, "R", 3.2, `L\F`, "D1"},
	{"bitewing-left.dcm", intraOral, "IO", 1, 2, 288, 384, 12, [3]string{"245646006", "SCT", "Permanent upper right 1st molar"}, "L", 3.2, `L\F`, "D1"},
	{"periapical.dcm", intraOral, "IO", 1, 3, 336, 256, 10, [3]string{"245646006", "SCT", "Permanent upper right 1st molar"}, "R", 1.7, `L\F`, "D1"},
	{"panorama.dcm", digital, "DX", 2, 1, 256, 512, 10, [3]string{}, "R", 11, `L\F`, "P1"},
}

// Dental writes the small study of one patient into dir.
func Dental(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("bigstudy: %w", err)
	}
	var errs []error
	for i := range exposures {
		e := &exposures[i]
		pixels := e.pixels()
		data := append(e.object().head(int64(len(pixels))), pixels...)
		errs = append(errs, os.WriteFile(filepath.Join(dir, e.file), data, 0o666))
	}
	return errors.Join(errs...)
}

func (e *exposure) object() *object {
	o := &object{class: e.class, instance: uid("dental " + e.file), words: e.stored > 8}
	o.text(0x00080005, "CS", "ISO_IR 100")
	o.text(0x00080008, "CS", `ORIGINAL\PRIMARY\`)
	o.text(0x00080016, "UI", o.class)
	o.text(0x00080018, "UI", o.instance)
	o.text(0x00080020, "DA", "20260302")
	o.text(0x00080022, "DA", "20260302")
	o.text(0x00080023, "DA", "20260302")
	o.text(0x00080030, "TM", "101500")
	o.text(0x00080032, "TM", fmt.Sprintf("1015%02d", 10*e.series+e.number))
	o.text(0x00080033, "TM", fmt.Sprintf("1015%02d", 10*e.series+e.number))
	o.text(0x00080050, "SH", "D0001")
	o.text(0x00080060, "CS", e.modality)
	o.text(0x00080068, "CS", "FOR PRESENTATION")
	o.text(0x00080070, "LO", "Synthetic")
	o.text(0x00080080, "LO", "Example Dental Practice")
	o.text(0x00080090, "PN", "")
	o.text(0x00081030, "LO", "Full mouth survey")
	o.text(0x00081090, "LO", "Gradient One")
	if e.class == intraOral {
		o.code(0x00082218, "39163008", "SCT", "Tooth")
		o.code(0x00082228, e.tooth[:]...)
	} else {
		o.code(0x00082218, "661005", "SCT", "Jaw region")
	}
	o.text(0x00100010, "PN", "Molar^Milli")
	o.text(0x00100020, "LO", "DEMO-0001")
	o.text(0x00100030, "DA", "19800229")
	o.text(0x00100040, "CS", "O")
	o.text(0x00181164, "DS", `0.05\0.05`)
	o.text(0x00181508, "CS", "NONE")
	o.text(0x00187004, "CS", "DIRECT")
	o.text(0x0018700A, "SH", e.detection)
	o.text(0x0018702A, "LO", "Synthetic")
	o.text(0x0018702B, "LO", "Detector "+e.detection)
	o.text(0x0020000D, "UI", uid("dental study"))
	o.text(0x0020000E, "UI", uid(fmt.Sprintf("dental series %d", e.series)))
	o.text(0x00200010, "SH", "1")
	o.text(0x00200011, "IS", fmt.Sprint(e.series))
	o.text(0x00200013, "IS", fmt.Sprint(e.number))
	o.text(0x00200020, "CS", e.orientation)
	o.text(0x00200062, "CS", e.side)
	o.number(0x00280002, 1)
	o.text(0x00280004, "CS", "MONOCHROME2")
	o.number(0x00280010, uint16(e.rows))
	o.number(0x00280011, uint16(e.columns))
	allocated := uint16(16)
	if e.stored == 8 {
		allocated = 8
	}
	o.number(0x00280100, allocated)
	o.number(0x00280101, e.stored)
	o.number(0x00280102, e.stored-1)
	o.number(0x00280103, 0)
	o.text(0x00280301, "CS", "NO")
	o.text(0x00281040, "CS", "LOG")
	o.signed(0x00281041, -1)
	o.text(0x00281050, "DS", fmt.Sprint(1<<(e.stored-1)))
	o.text(0x00281051, "DS", fmt.Sprint(1<<e.stored))
	o.text(0x00281052, "DS", "0")
	o.text(0x00281053, "DS", "1")
	o.text(0x00281054, "LO", "US")
	o.text(0x00282110, "CS", "00")
	o.code(0x00400555)
	o.text(0x20500020, "CS", "IDENTITY")
	return o
}

// pixels draws two rows of teeth over bone, with a filling and a little grain.
func (e *exposure) pixels() []byte {
	n := noise(uid(e.file)[10]) + noise(e.rows*7919+e.columns*31+e.number)
	top := float64(uint32(1)<<e.stored - 1)
	var out []byte
	for y := range e.rows {
		for x := range e.columns {
			v := tooth(float64(x)/float64(e.columns), float64(y)/float64(e.rows), e.teeth, e.class == digital)
			v = min(max(v+float64(n.next()&63)/3200, 0), 1) * top
			if e.stored == 8 {
				out = append(out, byte(v))
			} else {
				out = binary.LittleEndian.AppendUint16(out, uint16(v))
			}
		}
	}
	return out
}

// tooth gives the brightness of a point, 0 to 1.
func tooth(x, y, teeth float64, curved bool) float64 {
	if curved { // a panorama smiles
		y += .18 * (1 - 4*(x-.5)*(x-.5)) * .8
		y -= .07
	}
	v := .10 + .05*math.Sin(x*9)*math.Sin(y*7)
	depth := math.Abs(y - .5) // from the bite
	if depth > .26 {          // bone, with trabeculae
		v = .34 + .05*math.Sin(x*90+3*math.Sin(y*40))*math.Sin(y*75)
	}
	t := math.Mod(x*teeth+.15, 1)
	i := math.Floor(x*teeth + .15)
	across := math.Abs(t-.5) / .46
	width := 1 - .45*math.Max(0, depth-.2)*2.2 // roots taper
	if depth > .015 && depth < .44 && across < width {
		v = .55 + .12*(1-across)
		if depth < .15 {
			v = .72 + .1*(1-across*across) // enamel
		}
		if across < .16 && depth > .1 && depth < .40 {
			v = .40 // pulp
		}
		if int(i)%3 == 1 && y < .5 && depth < .075 && across < .4 {
			v = .97 // a filling
		}
	}
	return v
}
