package deid

import (
	"fmt"
	"strings"
	"time"

	"carepost/dicom"
)

// removedText stands where a text was that had to have a value.
const removedText = "REMOVED"

// value rewrites an element that is no sequence.
func (x *rewriter) value(c coding, h head, what action) error {
	pass := func() error { return x.quiet(func() error { return x.in.copy(x.out, int64(h.length)) }) }
	switch what {
	case keep:
		if err := x.out.head(c, h); err != nil {
			return err
		}
		return x.in.copy(x.out, int64(h.length))
	case remove:
		return pass()
	case refused:
		return fmt.Errorf("%w: %v is a document of its own", ErrRefused, h.tag)
	case newUID, shift, words:
		return x.changed(c, h, what)
	}
	if err := pass(); err != nil {
		return err
	}
	return x.instead(c, h, what)
}

// changed writes a value that is made of the one that was there.
func (x *rewriter) changed(c coding, h head, what action) error {
	v, err := x.in.short(h.length)
	if err != nil {
		return err
	}
	was := dicom.Trim(v)
	if was == "" {
		return x.out.value(c, h, nil)
	}
	switch what {
	case newUID:
		all := strings.Split(was, `\`)
		for i, u := range all {
			all[i] = x.a.uid(dicom.Trim([]byte(u)))
		}
		return x.out.value(c, h, []byte(strings.Join(all, `\`)))
	case shift:
		if moved, ok := x.a.shift(h.vr, was); ok {
			return x.out.value(c, h, []byte(moved))
		}
		return x.instead(c, h, dummy)
	}
	if known(was) {
		return x.out.value(c, h, v)
	}
	r, listed := profile[h.tag]
	if !listed {
		return x.instead(c, h, dummy)
	}
	return x.instead(c, h, basic(h.tag, r, h.vr))
}

// shift moves dates by the days of the act (PS3.15 E.3.6). A value that names no whole day is not ok.
func (a *Act) shift(v dicom.VR, was string) (string, bool) {
	if v == vr("TM") {
		return was, only(was, `0123456789:.\ `)
	}
	all := strings.Split(was, `\`)
	for i, s := range all {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		rest := ""
		if v == vr("DT") && len(s) > 8 {
			s, rest = s[:8], s[8:]
		}
		day, err := time.Parse("20060102", strings.ReplaceAll(s, ".", ""))
		moved := day.AddDate(0, 0, a.days)
		if err != nil || moved.Year() < 1 || !only(rest, "0123456789.+-") {
			return "", false
		}
		all[i] = moved.Format("20060102") + rest
	}
	return strings.Join(all, `\`), true
}

// only says that s is made of these characters.
func only(s, of string) bool { return strings.Trim(s, of) == "" }

// instead writes what stands for a value or a sequence that nobody is to see.
func (x *rewriter) instead(c coding, h head, what action) error {
	switch what {
	case remove:
		return nil
	case empty:
		return x.out.value(c, h, nil)
	case alias:
		return x.out.value(c, h, []byte(x.of))
	case coded:
		return x.one(c, h, [][2]any{{dicom.Tag(0x00080100), "REMOVED"}, {dicom.Tag(0x00080102), "99CAREPOST"}, {dicom.Tag(0x00080104), "Removed"}})
	case emptied:
		return x.report(c, h)
	case refused:
		return fmt.Errorf("%w: %v is a document of its own", ErrRefused, h.tag)
	}
	v := h.vr
	if v == vr("UN") {
		v, _ = vrOf(h.tag)
	}
	return x.out.value(c, h, dummyOf(v))
}

// dummyOf gives a value that a VR allows and that says nothing.
func dummyOf(v dicom.VR) []byte {
	switch v.String() {
	case "DA":
		return []byte("19000101")
	case "TM":
		return []byte("000000")
	case "DT":
		return []byte("19000101000000")
	case "DS", "IS":
		return []byte("0")
	case "AS":
		return []byte("000Y")
	case "UR":
		return []byte("urn:removed")
	case "US", "SS", "OB", "OW", "UN":
		return make([]byte, 2)
	case "UL", "SL", "FL", "AT", "OF", "OL":
		return make([]byte, 4)
	case "FD", "OD", "OV", "SV", "UV":
		return make([]byte, 8)
	}
	return []byte(removedText)
}

// one writes a sequence of one item of texts.
func (x *rewriter) one(c coding, h head, elements [][2]any) error {
	return x.wrap(c, h, func() error {
		for _, e := range elements {
			t := e[0].(dicom.Tag)
			v, _ := vrOf(t)
			if err := x.out.value(c, head{tag: t, vr: v}, []byte(e[1].(string))); err != nil {
				return err
			}
		}
		return nil
	})
}

// wrap writes a sequence of one item.
func (x *rewriter) wrap(c coding, h head, item func() error) error {
	for _, begin := range []head{{tag: h.tag, vr: h.vr, length: undefined}, {tag: tagItem, length: undefined}} {
		if err := x.out.head(c, begin); err != nil {
			return err
		}
	}
	if err := item(); err != nil {
		return err
	}
	for _, end := range []head{{tag: tagItemEnd}, {tag: tagSequenceEnd}} {
		if err := x.out.head(c, end); err != nil {
			return err
		}
	}
	return nil
}

// report writes a content sequence that holds one remark (PS3.3 C.17.3).
func (x *rewriter) report(c coding, h head) error {
	text := func(t dicom.Tag, s string) error {
		v, _ := vrOf(t)
		return x.out.value(c, head{tag: t, vr: v}, []byte(s))
	}
	return x.wrap(c, h, func() error {
		if err := text(0x0040A010, "CONTAINS"); err != nil {
			return err
		}
		if err := text(0x0040A040, "TEXT"); err != nil {
			return err
		}
		name := head{tag: 0x0040A043, vr: vr("SQ")}
		if err := x.one(c, name, [][2]any{{dicom.Tag(0x00080100), "121106"}, {dicom.Tag(0x00080102), "DCM"}, {dicom.Tag(0x00080104), "Comment"}}); err != nil {
			return err
		}
		return text(0x0040A160, "Removed")
	})
}
