"""Money that came another way than through the gateway, recorded by staff: a cheque, a transfer, cash."""
