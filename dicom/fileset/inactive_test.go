package fileset

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// What an inactive record had below it goes to nobody else when the links are wrong and the order of the records has to do (PS3.3 F.3.2.2).
func TestInactiveByOrder(t *testing.T) {
	base := foreign(t)
	want := checkBytes(t, rezip(t, base)).Tree
	b := &bender{t: t, es: deep(base)}
	second := 0
	for n := 1; second == 0; n++ {
		if strings.HasPrefix(string(b.element(fmt.Sprintf("00041430#%d", n))), "PATIENT") {
			second = n
		}
	}
	b.do([]string{"value", fmt.Sprintf("00041410#%d", second), "\x00\x00"})
	b.do(words(t, "number 00041200#0 = 0"))
	r := checkBytes(t, rezip(t, b.es))
	if len(want) < 2 || len(r.Tree) != len(want)-1 || !reflect.DeepEqual(r.Tree[0], want[0]) || r.Verdict != Violations {
		t.Errorf("%v: %d patients of %d:\n%+v", r.Verdict, len(r.Tree), len(want), r.Tree[0])
	}
}

// A directory that a program has kept from before is told, and is no second set.
func TestDirectoryOfBefore(t *testing.T) {
	base := foreign(t)
	r := checkBytes(t, rezip(t, append(deep(base), zipped{"DICOMDIR.BAK", base[0].data})))
	if r.Verdict != Complete || !hasRule(r.Findings, "other-file") || len(r.Other) != 1 {
		t.Errorf("%v %v", r.Verdict, r.Findings)
	}
}
