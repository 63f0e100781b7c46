# Everything is in ./run, which works without make too.
.PHONY: help install demo test matrix proof lint lock
help install demo test matrix proof lint lock:
	@./run $@ $(ARGS)
