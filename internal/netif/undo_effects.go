package netif

// effects returns entries for the sysctls that the kernel will change along
// when s is set.
//
// Switching forwarding sets it on every interface and on the default; for IPv4
// it also turns accept_redirects of all to the opposite (inet_forward_change
// and addrconf_fixup_forwarding in the kernel).
func (u undo) effects(s Sysctl, now string) ([]undoEntry, error) {
	var conf string
	switch s.Path {
	case "net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding":
		conf = "net/ipv4/conf"
	case "net/ipv6/conf/all/forwarding":
		conf = "net/ipv6/conf"
	default:
		return nil, nil
	}
	if sameValue(now, s.Value) {
		return nil, nil
	}
	var entries []undoEntry
	add := func(path string, values map[string]string) error {
		earlier, err := u.sys.readSysctl(path)
		if err != nil {
			return err
		}
		along := []string{values[s.Value], values[now]} // by setting, by restoring
		entries = append(entries, undoEntry{Path: path, Earlier: earlier, Cause: s.Path, Along: along})
		return nil
	}
	if conf == "net/ipv4/conf" {
		opposite := map[string]string{s.Value: "0", now: "0"}
		opposite["0"] = "1"
		if err := add(conf+"/all/accept_redirects", opposite); err != nil {
			return nil, err
		}
	}
	names, err := u.sys.interfaces(conf)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name == "all" {
			continue
		}
		if err := add(conf+"/"+name+"/forwarding", map[string]string{s.Value: s.Value, now: now}); err != nil {
			return nil, err
		}
	}
	return entries, nil
}
