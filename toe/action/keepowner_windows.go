package action

import "io/fs"

func keepOwner(fs.FileInfo, string) error { return nil }
