package xdm

import (
	"strings"
)

// form judges names and folders (ITI TF-2 3.32.4.1.2).
func (c *checker) form() {
	for _, name := range []string{IndexName, ReadmeName} {
		i, ok := c.byName[name]
		switch {
		case !ok:
			c.find(ruleNoIndex, name, "it is not there")
		case c.files[i].Name != name:
			c.find(ruleCase, c.files[i].Name, "not in capitals")
		}
		c.used[i] = c.used[i] || ok
	}
	if !c.archive.HasFolder(FolderName) {
		c.find(ruleFolder, FolderName, "the folder has no entry of its own")
	}
	for _, s := range c.report.Sets {
		if strings.Contains(s.Folder, "/") && !c.archive.HasFolder(s.Folder) {
			c.find(ruleFolder, s.Folder, "the folder has no entry of its own")
		}
	}
	for _, f := range c.files {
		if strings.HasPrefix(strings.ToUpper(f.Name), FolderName+"/") && !level1(f.Name) {
			c.find(ruleName, f.Name, "not a name of ISO 9660 level 1: A–Z, 0–9, _, at most 8 and 3 of them, 8 folders deep")
		}
	}
}

// level1 says whether a path is one of ISO 9660 level 1.
func level1(name string) bool {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		base, ext, dot := strings.Cut(p, ".")
		if base == "" || len(base) > 8 || len(ext) > 3 || dot && (ext == "" || i < len(parts)-1) ||
			strings.Trim(base+ext, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			return false
		}
	}
	return len(parts) <= 8
}

// others names the files that no entry leads to. In the folder of a submission set they are a finding; beside it they may be anything.
func (c *checker) others() {
	for i, f := range c.files {
		if c.used[i] {
			continue
		}
		if strings.HasPrefix(strings.ToUpper(f.Name), FolderName+"/") {
			c.find(ruleOther, f.Name, "no entry of the metadata leads to it")
		}
		if len(c.report.Other) < maxOther {
			c.report.Other = append(c.report.Other, clean(f.Name))
		}
	}
}
