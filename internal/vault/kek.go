package vault

// OpenKEK reads the key-encryption key in the file at path, or makes one if there is no such file (0600, fsynced, its directory
// too). It refuses a file that others may read.
func OpenKEK(path string) (Keeper, error) { panic("unimplemented") }

// LoadKEK reads the key-encryption key in the file at path; a missing file is an error that wraps fs.ErrNotExist.
func LoadKEK(path string) (Keeper, error) { panic("unimplemented") }
