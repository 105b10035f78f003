"""Jobs staged many at a time, and jobs of which one waits while another runs."""
