package workflow

// Do adds a node that runs task t with input in, and returns its output.
func Do[In, Out any](g *Graph, t Task[In, Out], in Value[In], o ...NodeOption) Value[Out] {
	return Value[Out]{e: g.addTask(g.enter(), t.c, in.e, o)}
}

func (g *Graph) addTask(at place, c *contract, in *edge, o []NodeOption) *edge {
	c = g.useTask(at, c)
	set := nodeSpec{policy: c.policy.clone()}
	errs := apply(o, func(o NodeOption) { o.applyNode(&set) })
	set.errs = append(set.errs, errs...)
	if len(c.errs) == 0 {
		set.errs = append(set.errs, set.policy.problems()...)
	}
	return g.add(at, newNode{
		Node: Node{Kind: KindTask, Name: c.name, Task: c.name, InType: c.in, OutType: c.out},
		what: "task " + c.name,
		in:   in,
		set:  set,
	})
}

// useTask reports the mistakes of a contract, once, and whether it contradicts
// another one of the same name and version.
func (g *Graph) useTask(at place, c *contract) *contract {
	if c == nil {
		c = c.get()
		g.errs = append(g.errs, at.error(c.errs[0]))
		return c
	}
	if _, ok := g.reported[c]; ok {
		return c
	}
	g.reported[c] = true
	g.errs = append(g.errs, c.errs...)
	for i, other := range g.tasks {
		if other.name != c.name || other.policy.Version != c.policy.Version {
			continue
		}
		switch {
		case other.in != c.in || other.out != c.out:
			g.report(at, invalidf("task %s is one from %s to %s here and one from %s to %s elsewhere in the workflow",
				c.name, c.in, c.out, other.in, other.out))
		case other.handler != nil && c.handler != nil:
			g.report(at, invalidf("task %s has two implementations: call workflow.TaskFunc once and keep what it returns", c.name))
		case other.handler == nil:
			g.tasks[i] = c
		}
		return c
	}
	g.tasks = append(g.tasks, c)
	return c
}
