package healthcheck

// All combines the verdicts of several checks of one server, all of which it has
// to pass. What is said besides the status is that of the check that decides.
func All(verdicts []Verdict) Verdict {
	return combine(verdicts, [3]Status{Down, Unknown, Up})
}

// Any combines the verdicts of several checks of one server, of which one
// suffices.
func Any(verdicts []Verdict) Verdict {
	return combine(verdicts, [3]Status{Up, Unknown, Down})
}

// combine lets the first status of order decide that any of the verdicts has.
// Of no verdicts it is the zero Verdict, whose status is none.
func combine(verdicts []Verdict, order [3]Status) Verdict {
	if len(verdicts) <= 1 {
		for _, v := range verdicts {
			return v
		}
		return Verdict{}
	}
	for _, status := range order {
		var decisive *Verdict
		for i := range verdicts {
			if v := &verdicts[i]; statusOf(*v) == status && (decisive == nil || v.Warning && !decisive.Warning) {
				decisive = v
			}
		}
		if decisive == nil {
			continue
		}
		out := *decisive
		out.Status = status
		out.ID = ""
		for _, v := range verdicts {
			out.include(v)
		}
		return out
	}
	return Verdict{}
}

// statusOf counts a verdict that nobody gave yet as Unknown.
func statusOf(v Verdict) Status {
	if v.Status == Up || v.Status == Down {
		return v.Status
	}
	return Unknown
}

// include takes over what counts whichever check decides: the least share, the
// oldest check, a warning.
func (v *Verdict) include(other Verdict) {
	if other.Share.Asked && (!v.Share.Asked || other.Share.Percent < v.Share.Percent) {
		v.Share = other.Share
	}
	if other.Checked.Before(v.Checked) {
		v.Checked = other.Checked
	}
	v.Known = v.Known || other.Known
	v.Warning = v.Warning || other.Warning && v.Status == Up
}
