package mda

import "os/exec"

// Check returns the error with which a delivery would end if the program is
// missing or not executable. It runs nothing.
func (m *MDA) Check() error {
	if _, err := exec.LookPath(m.Argv[0]); err != nil {
		return m.notStarted(err)
	}
	return nil
}
