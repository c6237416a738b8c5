//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package llmlab

import "os"

// canLock: without locks nobody can tell whose files are left.
const canLock = false

func lockFile(*os.File) bool { return false }
