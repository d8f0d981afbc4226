package problem

import "strings"

// Nearest gives the candidate that word is most probably a misspelling of, or
// "" if none is near: at most a third of the letters may differ, and letter
// case counts for nothing. Else it gives the only candidate that begins with
// the word, if that has four letters or more: "timeout" is "timeoutSeconds".
// Very long words have no nearest candidate, and of very many candidates only
// the first are looked at.
func Nearest(word string, candidates []string) string {
	const longest, most = 64, 256
	if word == "" || len(word) > longest {
		return ""
	}
	candidates = candidates[:min(len(candidates), most)]
	folded := strings.ToLower(word)
	best, bestDistance := "", len(word)/3+1
	for _, c := range candidates {
		if c == word || max(len(c)-len(word), len(word)-len(c)) >= bestDistance {
			continue
		}
		if d := distance(folded, strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best == "" && len(word) >= 4 {
		return onlyLonger(folded, candidates)
	}
	return best
}

// onlyLonger gives the one candidate that goes on where the word ends.
func onlyLonger(folded string, candidates []string) string {
	only := ""
	for _, c := range candidates {
		if len(c) > len(folded) && strings.HasPrefix(strings.ToLower(c), folded) {
			if only != "" {
				return ""
			}
			only = c
		}
	}
	return only
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to get from a to b (optimal string alignment).
func distance(a, b string) int {
	before := make([]int, len(b)+1)
	last := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
