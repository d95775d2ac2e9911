"""Reading Python source without running it: syntax trees, what names stand for, what code does and when."""
